//! What counting costs under each allocator that counts, each in processes of its own: `cargo bench -p benches --bench tracking`.

use benches::tracking::main as measure;
use std::process::ExitCode;

fn main() -> ExitCode {
    measure(&benches::tracking_programs!())
}
