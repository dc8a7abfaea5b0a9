//! Names, stored once: in a request, or in the process.
