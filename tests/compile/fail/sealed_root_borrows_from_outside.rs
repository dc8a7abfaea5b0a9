use blixard_arena::{ArenaPool, Sealed, sealed_root};

struct Name<'a>(&'a str);
sealed_root!(Name);

fn main() {
    let text = String::from("shorter than the arena may live");
    let sealed = Sealed::<Name>::build(ArenaPool::new().acquire(), |_| Name(&text));
    std::thread::spawn(move || println!("{}", sealed.get().0));
}
