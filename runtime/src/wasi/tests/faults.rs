//! A call that fails has changed nothing: whatever it was given is checked before anything is done.

use super::*;

const PAGE: u32 = 65_536;
/// Where arguments lie that are inside the memory.
const LIST: u32 = 0x1000;
const TEXT: u32 = 0x2000;
const TEXT_2: u32 = 0x2100;
const ROOM: u32 = 0x3000;
const OUT: u32 = 0x4000;
/// A file that is open for reading and writing.
const FILE: u64 = 4;

fn program() -> World {
    let mut world = World::new();
    let file = world.open("tmp/file", oflags::CREATE).unwrap();
    assert_eq!(u64::from(file), FILE);
    world.write(file, b"0123456789").unwrap();
    world.seek(file, 0, 0).unwrap();
    world.memory.fill(0);
    world.put(TEXT, b"tmp/file");
    world.put(TEXT_2, b"tmp/new!");
    // As a list of buffers and as a subscription it makes sense.
    world.put(LIST, &[ROOM.to_le_bytes(), 4_u32.to_le_bytes()].concat());
    world
}

impl World {
    /// All that a program could notice of a call.
    fn noticeable(&self) -> (String, u128, Vec<u8>, Vec<u8>) {
        let wasi = format!("{:?}", self.wasi);
        (wasi, self.wasi.random.get_word_pos(), self.memory.clone(), self.said.0.lock().unwrap().clone())
    }
}

/// Whether this argument of `function` is an address.
fn is_address(function: &str, argument: &str) -> bool {
    match argument {
        "count" | "size" => function.ends_with("sizes_get"),
        "list" | "text" | "out" | "events" | "subscriptions" | "path" | "new_path" | "target" | "at" => true,
        _ => false,
    }
}

/// A value with which `function` succeeds.
fn sound(function: &str, argument: &str) -> u64 {
    match argument {
        "count" | "size" if function.ends_with("sizes_get") => {
            u64::from(if argument == "count" { OUT } else { OUT + 4 })
        }
        "count" => 1,
        "list" | "subscriptions" => LIST.into(),
        "text" | "at" | "events" => ROOM.into(),
        "path" if function == "path_symlink" => TEXT_2.into(),
        "path" | "target" => TEXT.into(),
        "new_path" => TEXT_2.into(),
        "text_length" => 8,
        "length" | "new_length" | "target_length" => 8,
        "out" => OUT.into(),
        "fd" if function.starts_with("path_") || function.contains("prestat") || function == "fd_readdir" => {
            ROOT.into()
        }
        "new_fd" => ROOT.into(),
        "fd" => FILE,
        "base" | "inheriting" => RW,
        "clock" => 1,
        _ => 0,
    }
}

/// Calls `function` with sound arguments, but for those that `other` gives a value.
fn call(world: &mut World, function: &str, other: impl Fn(&str) -> Option<u64>) -> Result<(), Errno> {
    let number = FUNCTIONS.iter().position(|(name, ..)| *name == function).unwrap();
    let draw = |argument: &str, _: &mut [u8]| other(argument).unwrap_or_else(|| sound(function, argument));
    match call_nth(&mut world.wasi, number, &mut world.memory, draw) {
        Ok(()) => Ok(()),
        Err(Fault::Errno(errno)) => Err(errno),
        Err(Fault::End(ending)) => panic!("it ended: {ending:?}"),
    }
}

/// The arguments of `function`, in their order.
fn arguments(function: &str) -> Vec<String> {
    let names = std::cell::RefCell::new(Vec::new());
    let note = |argument: &str| {
        names.borrow_mut().push(argument.to_owned());
        None
    };
    // How it ends does not matter here.
    let _ = call(&mut program(), function, note);
    names.into_inner()
}

#[test]
fn an_address_outside_the_memory_is_found_before_anything_is_done() {
    let mut tried = 0;
    for (function, ..) in &FUNCTIONS[..FUNCTIONS.len() - 1] {
        // They look at no address: there is no environment, and there are no sockets.
        if *function == "environ_get" || function.starts_with("sock_") {
            continue;
        }
        for argument in arguments(function).iter().filter(|argument| is_address(function, argument)) {
            for address in [PAGE - 3, PAGE, u32::MAX] {
                let mut world = program();
                if *function == "path_readlink" {
                    let (m, n) = (world.put(TEXT_2, b"file"), world.put(TEXT, b"tmp/link"));
                    world.call(|w, g| w.path_symlink(g, TEXT_2, m, ROOT, TEXT, n)).unwrap();
                }
                let before = world.noticeable();
                let answer = call(&mut world, function, |name| (name == argument).then_some(address.into()));
                assert_eq!(answer, Err(Errno::Fault), "{function}: {argument} at {address}");
                assert!(world.noticeable() == before, "{function} did half of it: {argument} at {address}");
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn a_list_with_one_buffer_outside_the_memory_is_refused_whole() {
    let streams = [("fd_read", 0), ("fd_write", 1), ("fd_write", 2)];
    let files = ["fd_read", "fd_write", "fd_pread", "fd_pwrite"].map(|function| (function, FILE));
    let inside = [ROOM.to_le_bytes(), 2_u32.to_le_bytes()].concat();
    for (function, fd) in streams.into_iter().chain(files) {
        for (at, length) in [(u32::MAX - 15, 64), (PAGE - 1, 2), (PAGE + 1, 0), (0, u32::MAX)] {
            let outside = [at.to_le_bytes(), length.to_le_bytes()].concat();
            for list in [[&inside[..], &outside], [&outside, &inside]] {
                let mut world = program();
                world.put(LIST, &list.concat());
                let before = world.noticeable();
                let answer = call(&mut world, function, |argument| match argument {
                    "fd" => Some(fd),
                    "count" => Some(2),
                    _ => None,
                });
                assert_eq!(answer, Err(Errno::Fault), "{function} {fd}: {length} bytes at {at}");
                assert!(world.noticeable() == before, "{function} {fd} did half of it: {length} bytes at {at}");
            }
        }
    }
}

#[test]
fn what_is_read_does_not_change_the_list_that_it_is_read_by() {
    let mut world = program();
    // The first buffer is the second entry of the list itself.
    let list = [LIST + 8, 8, ROOM, 2].map(u32::to_le_bytes).concat();
    world.put(LIST, &list);
    call(&mut world, "fd_read", |argument| (argument == "count").then_some(2)).unwrap();
    assert_eq!(world.word(OUT), 10);
    assert_eq!(&world.memory[ROOM as usize..][..2], b"89");
}

#[test]
fn events_that_are_written_over_their_subscriptions_spoil_no_call() {
    let mut world = program();
    let mut subscription = [0; 48];
    subscription[8] = 2;
    subscription[16] = 1;
    world.put(LIST, &subscription.repeat(3));
    // The user's data of the first event becomes the kind of the second subscription.
    let events = u64::from(LIST) + 56;
    world.put(LIST, &[9; 8]);
    call(&mut world, "poll_oneoff", |argument| match argument {
        "events" => Some(events),
        "count" => Some(3),
        _ => None,
    })
    .unwrap();
    assert_eq!(world.word(OUT), 3);
}

#[test]
fn a_call_moves_no_more_bytes_than_its_answer_can_say() {
    const BUFFER: u32 = 5 << 20;
    let mut memory = vec![0; BUFFER as usize];
    let mut guest = Guest::new(&mut memory);
    let entry = [0_u32.to_le_bytes(), BUFFER.to_le_bytes()].concat();
    guest.write(0, &entry.repeat(1_024)).unwrap();
    let buffers = guest.buffers(0, 1_024).unwrap();
    assert_eq!(buffers.len(), (u32::MAX / BUFFER) as usize);
    assert_eq!(guest.buffers(0, 1_025), Err(Errno::Invalid));
}
