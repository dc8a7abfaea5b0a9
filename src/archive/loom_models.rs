//! A model of frames whose bytes other threads hold: loom runs it through every order of its threads' steps.
//!
//! Counts of the `bytes` crate are std's, and not ours to prove: to loom each of its calls is one step. What is modelled is what we make of
//! them: which frame is written, when, and what of it is held meanwhile.
#![forbid(unsafe_code)]

use super::frames::Frames;
use crate::sync::model;
use bytes::Bytes;
use loom::sync::{Arc, Mutex};
use loom::thread;

/// Fills a frame with a number and hands its bytes out, as an encoder does.
fn encode(frames: &mut Frames, number: u8) -> Bytes {
    let frame = frames.take(8);
    assert!(frame.is_empty(), "nobody's bytes are in it");
    frame.extend_from_slice(&[number; 4]);
    thread::yield_now();
    frames.taken().extend_from_slice(&[number; 4]);
    frames.taken().split().freeze()
}

/// Encoders on two threads share frames by turns, as those of a pool do; what one has handed out stays as it was while somebody holds
/// it, also as a part, and its frame is used again afterwards.
#[test]
fn bytes_that_somebody_holds_are_never_written() {
    model(Some(3), [0, 1], |order| {
        let frames = Arc::new(Mutex::new(Frames::default()));
        let sent = encode(&mut frames.lock().unwrap(), 1);
        let part = sent.slice(2..6);
        let writes = {
            let frames = Arc::clone(&frames);
            move || {
                for number in [2, 3] {
                    let bytes = encode(&mut frames.lock().unwrap(), number);
                    thread::yield_now();
                    assert_eq!(&bytes[..], &[number; 8]);
                }
            }
        };
        let reads = {
            let frames = Arc::clone(&frames);
            move || {
                assert_eq!(&sent[..], &[1; 8]);
                drop(sent);
                let mine = encode(&mut frames.lock().unwrap(), 4);
                assert_eq!((&part[..], &mine[..]), (&[1; 4][..], &[4; 8][..]));
                drop(part);
                thread::yield_now();
                assert_eq!(&mine[..], &[4; 8]);
            }
        };
        order.run([Box::new(writes), Box::new(reads)]);
        let mut frames = frames.lock().unwrap();
        assert!((1..=3).contains(&(frames.kept_bytes() / 1024)), "{} bytes", frames.kept_bytes());
        let kept = frames.kept_bytes();
        drop(encode(&mut frames, 5));
        assert_eq!(frames.kept_bytes(), kept, "all are free again");
    });
}
