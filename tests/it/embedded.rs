//! The embedded server: it comes up once, stays while it is used, and leaves nothing behind.

mod cold;
mod death;
mod fallback;
mod refusal;
mod site;
mod stranger;
mod terminal;
