//! Writes a function anew with its charges. Operators are copied byte for byte.
//!
//! ```text
//! (block $exhausted
//!   (block $body (result …) the function)
//!   return)
//! left = EXHAUSTED, unreachable
//! ```

use wasmparser::{FunctionBody, Operator, Result, ValType};

use super::binary::{signed, unsigned, value_type};
use super::points::{self, Plan, Point};
use super::{EXHAUSTED, Types};

const UNREACHABLE: u8 = 0x00;
const BLOCK: u8 = 0x02;
const END: u8 = 0x0b;
const BR_IF: u8 = 0x0d;
const RETURN: u8 = 0x0f;
const LOCAL_GET: u8 = 0x20;
const LOCAL_SET: u8 = 0x21;
const LOCAL_TEE: u8 = 0x22;
const GLOBAL_GET: u8 = 0x23;
const GLOBAL_SET: u8 = 0x24;
const I64_CONST: u8 = 0x42;
const I64_LT_S: u8 = 0x53;
const I64_ADD: u8 = 0x7c;
const I64_SUB: u8 = 0x7d;
const I64_EXTEND_I32_U: u8 = 0xad;
const NO_RESULT: u8 = 0x40;

/// A function being written.
struct Weaver {
    out: Vec<u8>,
    /// The global that holds what is left.
    global: u32,
    /// The local that holds it, or takes a copy for the check.
    left: u32,
    /// Takes a copy of the size of a bulk operation.
    size: u32,
    /// Whether the local holds it between two calls.
    cached: bool,
    /// Blocks that are open within the function.
    depth: u32,
}

/// A body, without its size.
pub(super) fn body(
    module: &[u8],
    body: &FunctionBody<'_>,
    ty: u32,
    global: u32,
    types: &mut Types<'_>,
) -> Result<Vec<u8>> {
    let plan = points::plan(body)?;
    let mut out = Vec::with_capacity(body.range().len() * 3 / 2 + 32);
    let parameters = types.function(ty).params().len() as u32;
    let left = parameters + locals(&mut out, module, body, plan.has_bulk)?;
    out.extend_from_slice(&[BLOCK, NO_RESULT, BLOCK]);
    let results = types.function(ty).results().to_vec();
    match results.as_slice() {
        [] => out.push(NO_RESULT),
        [one] => value_type(&mut out, *one),
        many => signed(&mut out, types.without_parameters(many).into()),
    }
    let cached = plan.has_tight_loop;
    let mut weaver = Weaver { out, global, left, size: left + 1, cached, depth: 0 };
    weaver.load();
    weaver.operators(module, body, &plan)?;
    // The end of the function closed `$body`.
    weaver.save();
    weaver.out.extend_from_slice(&[RETURN, END]);
    weaver.constant(EXHAUSTED);
    weaver.indexed(GLOBAL_SET, global);
    weaver.out.extend_from_slice(&[UNREACHABLE, END]);
    Ok(weaver.out)
}

/// Declares the locals and ours, and says how many were the function's own.
fn locals(out: &mut Vec<u8>, module: &[u8], body: &FunctionBody<'_>, bulk: bool) -> Result<u32> {
    let mut reader = body.get_locals_reader()?;
    let (runs, begin) = (reader.get_count(), reader.original_position());
    let mut own = 0;
    for _ in 0..runs {
        own += reader.read()?.0;
    }
    unsigned(out, u64::from(runs) + 1 + u64::from(bulk));
    out.extend_from_slice(&module[begin..reader.original_position()]);
    let ours = [ValType::I64, ValType::I32];
    for &ty in &ours[..1 + usize::from(bulk)] {
        out.push(1);
        value_type(out, ty);
    }
    Ok(own)
}

impl Weaver {
    fn operators(&mut self, module: &[u8], body: &FunctionBody<'_>, plan: &Plan) -> Result<()> {
        let mut operators = body.get_operators_reader()?;
        let mut points = plan.points.iter().peekable();
        while !operators.eof() {
            let at = operators.original_position();
            while let Some(point) = points.next_if(|point| point.at == at) {
                self.charge(point);
            }
            let operator = operators.read()?;
            self.before(&operator);
            self.out.extend_from_slice(&module[at..operators.original_position()]);
            self.after(&operator);
        }
        Ok(())
    }

    fn before(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::Return
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::Unreachable => self.save(),
            Operator::End => self.depth = self.depth.saturating_sub(1),
            _ if points::is_bulk(operator) => self.charge_size(),
            _ => {}
        }
    }

    fn after(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => self.depth += 1,
            Operator::Call { .. } | Operator::CallIndirect { .. } => self.load(),
            _ => {}
        }
    }

    fn charge(&mut self, point: &Point) {
        if point.cost > 0 || point.check {
            self.get();
            self.constant(-point.cost);
            self.out.push(I64_ADD);
            self.set(point.check);
        }
    }

    /// One unit for each byte or element of a bulk operation, whose size is on top of the stack.
    fn charge_size(&mut self) {
        self.indexed(LOCAL_TEE, self.size);
        self.get();
        self.indexed(LOCAL_GET, self.size);
        self.out.extend_from_slice(&[I64_EXTEND_I32_U, I64_SUB]);
        self.set(true);
    }

    /// Takes what is left from where it is kept.
    fn get(&mut self) {
        if self.cached {
            self.indexed(LOCAL_GET, self.left);
        } else {
            self.indexed(GLOBAL_GET, self.global);
        }
    }

    /// Keeps the number on top of the stack as what is left, and leaves when it is too little.
    fn set(&mut self, check: bool) {
        match (self.cached, check) {
            (true, true) => self.indexed(LOCAL_TEE, self.left),
            (true, false) => self.indexed(LOCAL_SET, self.left),
            (false, false) => self.indexed(GLOBAL_SET, self.global),
            (false, true) => {
                self.indexed(LOCAL_TEE, self.left);
                self.indexed(GLOBAL_SET, self.global);
                self.indexed(LOCAL_GET, self.left);
            }
        }
        if check {
            self.constant(0);
            self.out.push(I64_LT_S);
            // Out of the blocks that are open, and of `$body`.
            self.indexed(BR_IF, self.depth + 1);
        }
    }

    /// Puts what is left where others see it.
    fn save(&mut self) {
        if self.cached {
            self.indexed(LOCAL_GET, self.left);
            self.indexed(GLOBAL_SET, self.global);
        }
    }

    fn load(&mut self) {
        if self.cached {
            self.indexed(GLOBAL_GET, self.global);
            self.indexed(LOCAL_SET, self.left);
        }
    }

    fn constant(&mut self, value: i64) {
        self.out.push(I64_CONST);
        signed(&mut self.out, value);
    }

    fn indexed(&mut self, operator: u8, index: u32) {
        self.out.push(operator);
        unsigned(&mut self.out, index.into());
    }
}
