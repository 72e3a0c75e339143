//! Counts the lines, words and bytes of its input, as `wc` does: a job in Zig.

const std = @import("std");

pub fn main(init: std.process.Init) !void {
    var in_buffer: [65536]u8 = undefined;
    var out_buffer: [256]u8 = undefined;
    var in = std.Io.File.stdin().readerStreaming(init.io, &in_buffer);
    var out = std.Io.File.stdout().writerStreaming(init.io, &out_buffer);

    var lines: u64 = 0;
    var words: u64 = 0;
    var bytes: u64 = 0;
    var inside = false;
    while (in.interface.takeByte()) |byte| {
        bytes += 1;
        lines += @intFromBool(byte == '\n');
        const blank = std.ascii.isWhitespace(byte);
        words += @intFromBool(!blank and !inside);
        inside = !blank;
    } else |err| switch (err) {
        error.EndOfStream => {},
        else => return err,
    }
    try out.interface.print("{d} {d} {d}\n", .{ lines, words, bytes });
    try out.interface.flush();
}
