//! Every call that lends memory of an arena, called on one that ends with the function.
use blixard_arena::arena::{AnyArena, Fallible};
use blixard_arena::{Arena, ArenaPool, SharedArena};
use std::sync::Arc;

fn arena_alloc<'a>() -> &'a mut u32 {
    Arena::new().alloc(1)
}
fn arena_try_alloc<'a>() -> &'a mut u32 {
    Arena::new().try_alloc(1).unwrap()
}
fn arena_alloc_with<'a>() -> &'a mut u32 {
    Arena::new().alloc_with(|| 1)
}
fn arena_try_alloc_with<'a>() -> &'a mut u32 {
    Arena::new().try_alloc_with(|| 1).unwrap()
}
fn arena_alloc_str<'a>() -> &'a mut str {
    Arena::new().alloc_str("")
}
fn arena_try_alloc_str<'a>() -> &'a mut str {
    Arena::new().try_alloc_str("").unwrap()
}
fn arena_alloc_slice_copy<'a>() -> &'a mut [u8] {
    Arena::new().alloc_slice_copy(&[1])
}
fn arena_try_alloc_slice_copy<'a>() -> &'a mut [u8] {
    Arena::new().try_alloc_slice_copy(&[1]).unwrap()
}
fn arena_alloc_slice_clone<'a>() -> &'a mut [u8] {
    Arena::new().alloc_slice_clone(&[1])
}
fn arena_try_alloc_slice_clone<'a>() -> &'a mut [u8] {
    Arena::new().try_alloc_slice_clone(&[1]).unwrap()
}
fn arena_alloc_slice_fill_with<'a>() -> &'a mut [u8] {
    Arena::new().alloc_slice_fill_with(1, |_| 1)
}
fn arena_try_alloc_slice_fill_with<'a>() -> &'a mut [u8] {
    Arena::new().try_alloc_slice_fill_with(1, |_| 1).unwrap()
}
fn arena_alloc_slice_fill_iter<'a>() -> &'a mut [u8] {
    Arena::new().alloc_slice_fill_iter([1])
}
fn arena_try_alloc_slice_fill_iter<'a>() -> &'a mut [u8] {
    Arena::new().try_alloc_slice_fill_iter([1]).unwrap()
}
fn arena_alloc_uninit_slice<'a>() -> &'a mut [std::mem::MaybeUninit<u8>] {
    Arena::new().alloc_uninit_slice(1)
}
fn arena_try_alloc_uninit_slice<'a>() -> &'a mut [std::mem::MaybeUninit<u8>] {
    Arena::new().try_alloc_uninit_slice(1).unwrap()
}
fn arena_format<'a>() -> &'a mut str {
    Arena::new().format(format_args!("{}", 1))
}
fn arena_try_format<'a>() -> &'a mut str {
    Arena::new().try_format(format_args!("{}", 1)).unwrap()
}
fn arena_alloc_with_drop<'a>() -> &'a mut String {
    Arena::new().alloc_with_drop(String::new())
}
fn arena_try_alloc_with_drop<'a>() -> &'a mut String {
    Arena::new().try_alloc_with_drop(String::new()).unwrap()
}
fn arena_adopt<'a>() -> &'a String {
    Arena::new().adopt(Arc::new(String::new()))
}
fn arena_try_adopt<'a>() -> &'a String {
    Arena::new().try_adopt(Arc::new(String::new())).unwrap()
}
fn arena_fallible<'a>() -> Fallible<'a, Arena> {
    Arena::new().fallible()
}
fn shared_alloc<'a>() -> &'a mut u32 {
    SharedArena::new().alloc(1)
}
fn shared_try_alloc<'a>() -> &'a mut u32 {
    SharedArena::new().try_alloc(1).unwrap()
}
fn shared_alloc_with<'a>() -> &'a mut u32 {
    SharedArena::new().alloc_with(|| 1)
}
fn shared_try_alloc_with<'a>() -> &'a mut u32 {
    SharedArena::new().try_alloc_with(|| 1).unwrap()
}
fn shared_alloc_str<'a>() -> &'a mut str {
    SharedArena::new().alloc_str("")
}
fn shared_try_alloc_str<'a>() -> &'a mut str {
    SharedArena::new().try_alloc_str("").unwrap()
}
fn shared_alloc_slice_copy<'a>() -> &'a mut [u8] {
    SharedArena::new().alloc_slice_copy(&[1])
}
fn shared_try_alloc_slice_copy<'a>() -> &'a mut [u8] {
    SharedArena::new().try_alloc_slice_copy(&[1]).unwrap()
}
fn shared_alloc_slice_clone<'a>() -> &'a mut [u8] {
    SharedArena::new().alloc_slice_clone(&[1])
}
fn shared_try_alloc_slice_clone<'a>() -> &'a mut [u8] {
    SharedArena::new().try_alloc_slice_clone(&[1]).unwrap()
}
fn shared_alloc_slice_fill_with<'a>() -> &'a mut [u8] {
    SharedArena::new().alloc_slice_fill_with(1, |_| 1)
}
fn shared_try_alloc_slice_fill_with<'a>() -> &'a mut [u8] {
    SharedArena::new().try_alloc_slice_fill_with(1, |_| 1).unwrap()
}
fn shared_alloc_slice_fill_iter<'a>() -> &'a mut [u8] {
    SharedArena::new().alloc_slice_fill_iter([1])
}
fn shared_try_alloc_slice_fill_iter<'a>() -> &'a mut [u8] {
    SharedArena::new().try_alloc_slice_fill_iter([1]).unwrap()
}
fn shared_alloc_uninit_slice<'a>() -> &'a mut [std::mem::MaybeUninit<u8>] {
    SharedArena::new().alloc_uninit_slice(1)
}
fn shared_try_alloc_uninit_slice<'a>() -> &'a mut [std::mem::MaybeUninit<u8>] {
    SharedArena::new().try_alloc_uninit_slice(1).unwrap()
}
fn shared_format<'a>() -> &'a mut str {
    SharedArena::new().format(format_args!("{}", 1))
}
fn shared_try_format<'a>() -> &'a mut str {
    SharedArena::new().try_format(format_args!("{}", 1)).unwrap()
}
fn shared_alloc_with_drop<'a>() -> &'a mut String {
    SharedArena::new().alloc_with_drop(String::new())
}
fn shared_try_alloc_with_drop<'a>() -> &'a mut String {
    SharedArena::new().try_alloc_with_drop(String::new()).unwrap()
}
fn shared_adopt<'a>() -> &'a String {
    SharedArena::new().adopt(Arc::new(String::new()))
}
fn shared_try_adopt<'a>() -> &'a String {
    SharedArena::new().try_adopt(Arc::new(String::new())).unwrap()
}
fn shared_fallible<'a>() -> Fallible<'a, SharedArena> {
    SharedArena::new().fallible()
}
fn any_alloc<'a>(arena: impl AnyArena + 'a) -> &'a mut u32 {
    arena.alloc(1)
}
fn any_alloc_str<'a>(arena: impl AnyArena + 'a) -> &'a mut str {
    arena.alloc_str("")
}
fn any_format<'a>(arena: impl AnyArena + 'a) -> &'a mut str {
    arena.format(format_args!("{}", 1))
}
fn pooled_deref<'a>() -> &'a Arena {
    &ArenaPool::new().acquire()
}
fn pooled_shared_deref<'a>() -> &'a SharedArena {
    &ArenaPool::new().acquire_shared()
}

fn main() {}
