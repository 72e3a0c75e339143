//! Every other way in which a program ends by its own doing.

use super::case::Run::Tasks;
use super::case::{Case, Try};
use crate::door::print;

pub(crate) const CASES: &[Case] = &[
    Case {
        number: 15,
        tries: "calls through a table: an empty entry, a wrong signature, an index outside",
        ends: &["trap/indirect_call_to_null", "trap/bad_signature", "trap/table_out_of_bounds"],
        note: "",
        run: Tasks(|| {
            let table = "(table 4 funcref) (elem (i32.const 1) $f) (type $none (func)) (func $f (param i32))";
            let call = |index: i32| Try::with(table, &format!("(call_indirect (type $none) (i32.const {index}))"));
            vec![
                call(0),
                call(1).ends("trap/bad_signature"),
                call(4).ends("trap/table_out_of_bounds"),
                call(-1).ends("trap/table_out_of_bounds"),
            ]
        }),
    },
    Case {
        number: 16,
        tries: "division by zero, the one quotient that does not fit, NaN as an integer",
        ends: &["trap/integer_divide_by_zero", "trap/integer_overflow", "trap/bad_conversion_to_integer"],
        note: "",
        run: Tasks(|| {
            let of = |body: &str, ends| Try::body(&format!("(drop {body})")).ends(ends);
            let (zero, overflow, conversion) =
                ("trap/integer_divide_by_zero", "trap/integer_overflow", "trap/bad_conversion_to_integer");
            vec![
                of("(i32.div_u (i32.const 1) (local.get $i))", zero),
                of("(i64.rem_s (i64.const 1) (i64.extend_i32_u (local.get $i)))", zero),
                of("(i32.div_s (i32.const 0x80000000) (i32.sub (local.get $i) (i32.const 1)))", overflow),
                of("(i32.trunc_f64_s (f64.const 1e10))", overflow),
                of("(i64.trunc_f64_u (f64.const -1))", overflow),
                of("(i32.trunc_f64_s (f64.div (f64.const 0) (f64.convert_i32_s (local.get $i))))", conversion),
            ]
        }),
    },
    Case {
        number: 17,
        tries: "`unreachable` in the start section",
        ends: &["trap/unreachable"],
        note: "where it happened is said without the control characters that a function's name may hold",
        run: Tasks(|| {
            vec![
                Try::with("(func $boot unreachable) (start $boot)", "").says("boot"),
                Try::with("(func $\"\\1b[2J\\07red\\0a\" unreachable)", "(call $\"\\1b[2J\\07red\\0a\")").says("red"),
            ]
        }),
    },
    Case {
        number: 46,
        tries: "leaving in the middle, by every status",
        ends: &["done/0", "exit/1", "exit/255", "exit/256", "exit/4294967295"],
        note: "with what was written before",
        run: Tasks(|| {
            let leave = |status: u32, ends| {
                let body = format!("{} (call $exit (i32.const {})) unreachable", print(0, 3), status.cast_signed());
                Try::body(&body).ends(ends).holds(|finished| assert_eq!(finished.output, [0, 0, 0]))
            };
            vec![
                leave(0, "done/0"),
                leave(1, "exit/1"),
                leave(255, "exit/255"),
                leave(256, "exit/256"),
                leave(u32::MAX, "exit/4294967295"),
            ]
        }),
    },
];
