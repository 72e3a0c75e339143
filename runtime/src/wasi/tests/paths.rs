//! Opening, listing, linking and removing by path.

use super::*;

#[test]
fn opening_obeys_its_flags() {
    let mut world = World::new();
    assert_eq!(world.open("tmp/f", 0), Err(Errno::NotFound));
    let fd = world.open("tmp/f", oflags::CREATE | oflags::EXCLUSIVE).unwrap();
    world.write(fd, b"text").unwrap();
    assert_eq!(world.open("tmp/f", oflags::CREATE | oflags::EXCLUSIVE), Err(Errno::Exists));
    assert_eq!(world.open("tmp/f", oflags::DIRECTORY), Err(Errno::NotDirectory));
    assert_eq!(world.open("tmp/f/", 0), Err(Errno::NotDirectory));
    assert_eq!(world.open("tmp/f/x", 0), Err(Errno::NotDirectory));
    assert_eq!(world.open("tmp/new", oflags::CREATE | oflags::DIRECTORY), Err(Errno::Invalid));
    assert_eq!(world.open("tmp", 0), Err(Errno::IsDirectory));
    assert_eq!(world.open("tmp", 16), Err(Errno::Invalid));
    let read_only = world.open_with("tmp/f", 0, 0, rights::FD_READ, 0).unwrap();
    assert_eq!(world.write(read_only, b"x"), Err(Errno::BadFd));
    let write_only = world.open_with("tmp/f", 0, 0, rights::FD_WRITE, 0).unwrap();
    assert_eq!(world.read(write_only, 1), Err(Errno::BadFd));
    let fresh = world.open("tmp/f", oflags::TRUNCATE).unwrap();
    assert_eq!(world.read(fresh, 10).unwrap(), b"");
    assert_eq!(world.open("data/set", oflags::TRUNCATE), Err(Errno::ReadOnly));
    let set = world.open_with("data/set", 0, 0, rights::FD_READ, 0).unwrap();
    assert_eq!(world.read(set, 100).unwrap(), b"0123456789");
}

#[test]
fn the_root_is_found_open_and_nothing_after_it() {
    let mut world = World::new();
    world.call(|w, g| w.fd_prestat_get(g, ROOT, OUT)).unwrap();
    assert_eq!((world.word(OUT), world.word(OUT + 4)), (0, 1));
    world.call(|w, g| w.fd_prestat_dir_name(g, ROOT, TEXT, 1)).unwrap();
    assert_eq!(world.memory[0], b'/');
    assert_eq!(world.call(|w, g| w.fd_prestat_dir_name(g, ROOT, TEXT, 0)), Err(Errno::NameTooLong));
    assert_eq!(world.call(|w, g| w.fd_prestat_get(g, 4, OUT)), Err(Errno::BadFd));
    assert_eq!(world.call(|w, g| w.fd_prestat_get(g, 0, OUT)), Err(Errno::BadFd));
}

#[test]
fn listings_are_complete_for_any_size_of_buffer() {
    let mut world = World::new();
    let expected: Vec<_> = (0..30).map(|n| format!("file-{n}")).collect();
    for name in &expected {
        let fd = world.open(&format!("tmp/{name}"), oflags::CREATE).unwrap();
        world.call(|w, g| w.fd_close(g, fd)).unwrap();
    }
    let fd = world.read_dir("tmp").unwrap();
    for buffer in [40, 41, 64, 100, 4_096] {
        let names: Vec<String> = world.names(fd, buffer).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[..2], [".", ".."]);
        assert_eq!(names[2..], expected, "buffer of {buffer}");
    }
    let root: Vec<_> = world.names(ROOT, 4_096);
    assert_eq!(root.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [".", "..", "data", "state", "tmp"]);
    assert!(root.iter().all(|(_, kind)| *kind == 3));
    assert_eq!(world.call(|w, g| w.fd_readdir(g, 0, BUFFER, 100, 0, OUT)), Err(Errno::NotDirectory));
}

#[test]
fn directories_links_and_names_come_and_go() {
    let mut world = World::new();
    world.path("tmp/d", |w, g, n| w.path_create_directory(g, ROOT, TEXT, n)).unwrap();
    assert_eq!(world.path("tmp/d/", |w, g, n| w.path_create_directory(g, ROOT, TEXT, n)), Err(Errno::Exists));
    assert_eq!(world.path("tmp/x/y", |w, g, n| w.path_create_directory(g, ROOT, TEXT, n)), Err(Errno::NotFound));
    let fd = world.open("tmp/d/f", oflags::CREATE).unwrap();
    world.write(fd, b"text").unwrap();
    assert_eq!(world.path("tmp/d", |w, g, n| w.path_remove_directory(g, ROOT, TEXT, n)), Err(Errno::NotEmpty));
    assert_eq!(world.path("tmp/d/f", |w, g, n| w.path_remove_directory(g, ROOT, TEXT, n)), Err(Errno::NotDirectory));

    // A second name, a link, a move.
    let n = world.put(TEXT_2, b"tmp/second");
    world.path("tmp/d/f", |w, g, m| w.path_link(g, ROOT, 0, TEXT, m, ROOT, TEXT_2, n)).unwrap();
    world.call(|w, g| w.fd_filestat_get(g, fd, OUT)).unwrap();
    assert_eq!(world.long(OUT + 24), 2);
    let n = world.put(TEXT_2, b"tmp/link");
    world.path("d/f", |w, g, m| w.path_symlink(g, TEXT, m, ROOT, TEXT_2, n)).unwrap();
    world.path("tmp/link", |w, g, n| w.path_readlink(g, ROOT, TEXT, n, BUFFER, 2, OUT)).unwrap();
    assert_eq!((world.word(OUT), &world.memory[BUFFER as usize..][..2]), (2, &b"d/"[..]));
    assert_eq!(world.path("tmp/d", |w, g, n| w.path_readlink(g, ROOT, TEXT, n, BUFFER, 2, OUT)), Err(Errno::Invalid));
    let through = world.open("tmp/link", 0).unwrap();
    assert_eq!(world.read(through, 10).unwrap(), b"text");
    assert_eq!(world.open_with("tmp/link", 0, 0, RW, 0), Err(Errno::Loop));
    assert_eq!(world.open("tmp/link", oflags::CREATE | oflags::EXCLUSIVE), Err(Errno::Exists));

    let n = world.put(TEXT_2, b"tmp/moved");
    world.path("tmp/d/f", |w, g, m| w.path_rename(g, ROOT, TEXT, m, ROOT, TEXT_2, n)).unwrap();
    world.path("tmp/d", |w, g, n| w.path_remove_directory(g, ROOT, TEXT, n)).unwrap();
    assert_eq!(world.open("tmp/link", 0), Err(Errno::NotFound));
    for name in ["tmp/moved", "tmp/second", "tmp/link"] {
        world.path(name, |w, g, n| w.path_unlink_file(g, ROOT, TEXT, n)).unwrap();
    }
    assert_eq!(world.path("tmp/moved", |w, g, n| w.path_unlink_file(g, ROOT, TEXT, n)), Err(Errno::NotFound));
    // Still open, still whole.
    world.seek(fd, 0, 0).unwrap();
    assert_eq!(world.read(fd, 10).unwrap(), b"text");
}

#[test]
fn paths_are_taken_from_the_directory_they_are_given() {
    let mut world = World::new();
    let tmp = world.read_dir("tmp").unwrap();
    world.path("f", |w, g, n| w.path_open(g, tmp, 0, TEXT, n, oflags::CREATE, RW, 0, 0, OUT)).unwrap();
    assert!(world.open("tmp/f", 0).is_ok());
    for path in ["../data/set", "..", "/tmp/f", "../tmp/f"] {
        let opened = world.path(path, |w, g, n| w.path_open(g, tmp, 0, TEXT, n, 0, rights::FD_READ, 0, 0, OUT));
        assert_eq!(opened, Err(Errno::NotPermitted), "{path}");
    }
    let file = world.open("tmp/f", 0).unwrap();
    for fd in [file, 0] {
        let opened = world.path("x", |w, g, n| w.path_open(g, fd, 0, TEXT, n, 0, rights::FD_READ, 0, 0, OUT));
        assert_eq!(opened, Err(Errno::NotDirectory));
    }
    assert_eq!(world.path("x", |w, g, n| w.path_open(g, 99, 0, TEXT, n, 0, 0, 0, 0, OUT)), Err(Errno::BadFd));
}
