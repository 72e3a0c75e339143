//! Compresses standard input to standard output as gzip, or expands it with the argument `-d`: the codec of Zig's
//! standard library behind the standard streams.

const std = @import("std");
const flate = std.compress.flate;

pub fn main(init: std.process.Init) !void {
    var in_buffer: [4096]u8 = undefined;
    var out_buffer: [4096]u8 = undefined;
    var in = std.Io.File.stdin().readerStreaming(init.io, &in_buffer);
    var out = std.Io.File.stdout().writerStreaming(init.io, &out_buffer);

    var arguments = try init.minimal.args.iterateAllocator(init.gpa);
    defer arguments.deinit();
    _ = arguments.skip();
    const expand = if (arguments.next()) |argument| std.mem.eql(u8, argument, "-d") else false;

    var window: [2 * flate.max_window_len]u8 = undefined;
    if (expand) {
        var codec = flate.Decompress.init(&in.interface, .gzip, &window);
        _ = try codec.reader.streamRemaining(&out.interface);
    } else {
        var codec = try flate.Compress.init(&out.interface, &window, .gzip, .best);
        _ = try in.interface.streamRemaining(&codec.writer);
        try codec.finish();
    }
    try out.interface.flush();
}
