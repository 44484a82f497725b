//! The worker when things break: its machine's clock, its connections, the server, the server's machine.

mod clock;
mod finish;
mod network;
mod server;
