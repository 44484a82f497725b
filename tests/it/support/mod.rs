//! What tests share: a database of their own each, and the program as a user runs it.
