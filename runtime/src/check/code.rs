//! Validates one function body, with bounds on everything that makes a compiler slow or hungry.

use wasmparser::{FuncValidator, FuncValidatorAllocations, FunctionBody, Operator, ValidatorResources};

use super::carried::Carried;
use super::{Refusal, bound};

/// Bytes of one body.
const BODY_BYTES: u64 = 1 << 20;
const LOCALS: u64 = 16_384;
/// Blocks inside blocks.
const NESTING: u64 = 4_096;
/// Values waiting on the operand stack.
const OPERANDS: u64 = 16_384;
/// Branch table targets of one function, all tables together.
const TARGETS: u64 = 65_520;
/// Pairs of a loop and a local that it carries.
const CARRIED: u64 = 100_000;

/// Checks one body; gives the validator's buffers back for the next.
pub(super) fn check(
    mut validator: FuncValidator<ValidatorResources>,
    body: &FunctionBody<'_>,
) -> Result<FuncValidatorAllocations, Refusal> {
    let range = body.range();
    bound("bytes of a function", (range.end - range.start) as u64, BODY_BYTES)?;
    check_locals(body)?;
    let mut binary = body.get_binary_reader();
    validator.read_locals(&mut binary)?;

    let mut targets = 0;
    let mut carried = Carried::new(validator.len_locals());
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let (operator, offset) = operators.read_with_offset()?;
        if let Operator::BrTable { targets: table } = &operator {
            targets += u64::from(table.len());
            bound("branch targets of a function", targets, TARGETS)?;
        }
        carried.see(&operator);
        bound("locals carried by loops of a function", carried.pairs, CARRIED)?;
        validator.op(offset, &operator)?;
        bound("nested blocks", u64::from(validator.control_stack_height()), NESTING)?;
        bound("waiting operands", u64::from(validator.operand_stack_height()), OPERANDS)?;
    }
    operators.finish()?;
    Ok(validator.into_allocations())
}

/// Locals are declared in runs: a few bytes can mean four thousand millions of them.
fn check_locals(body: &FunctionBody<'_>) -> Result<(), Refusal> {
    let mut locals = 0_u64;
    for run in body.get_locals_reader()? {
        locals += u64::from(run?.0);
        bound("locals of a function", locals, LOCALS)?;
    }
    Ok(())
}
