//! Decides where in a function fuel is charged, and how much.
//!
//! A point charges for a stretch of code that follows it. A stretch that runs whenever the point is passed is always
//! added to it. One that may be skipped is added too while it is small, since a branch around an addition costs more than the
//! addition; else it gets a point of its own. Every passage through a loop passes a point in that loop.

use wasmparser::{FunctionBody, Operator, Result};

/// Operators that a point may charge for although they may be skipped.
const SPECULATIVE: i64 = 8;

/// A place where fuel is charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    /// Stands before the operator at this offset.
    pub(super) at: usize,
    pub(super) cost: i64,
    /// Whether it is looked at if there is enough: where functions and loops begin.
    pub(super) check: bool,
    speculative: i64,
    time: u64,
}

/// What there is to know about a function before it is written anew.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In the order of their places.
    pub(super) points: Vec<Point>,
    /// Whether there is a loop that calls nothing. There, what is left is best kept in a register.
    pub(super) has_tight_loop: bool,
    /// Whether there are operators whose work depends on a number.
    pub(super) has_bulk: bool,
}

/// A block, loop, `if` or the function.
struct Frame {
    /// The point that is current where it begins and after its end.
    outside: usize,
    is_loop: bool,
    calls: bool,
}

struct Planner {
    plan: Plan,
    frames: Vec<Frame>,
    current: usize,
    /// The stretch that is being read: where it begins, and its cost so far.
    stretch: Option<(usize, i64)>,
    /// Branches that skip the rest of an open frame: its index and when; both rise.
    skips: Vec<(usize, u64)>,
    time: u64,
    /// Open frames within code that is never reached; 0 where code is.
    dead: usize,
}

/// What metering costs before and besides the engine's own table: the same as the engine's.
pub(super) fn cost(operator: &Operator<'_>) -> i64 {
    match operator {
        Operator::Nop
        | Operator::Drop
        | Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::Unreachable
        | Operator::Return
        | Operator::Else
        | Operator::End => 0,
        _ => 1,
    }
}

/// Whether the work of an operator depends on the number on top of the stack.
pub(super) fn is_bulk(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::TableGrow { .. }
    )
}

pub(super) fn plan(body: &FunctionBody<'_>) -> Result<Plan> {
    let mut operators = body.get_operators_reader()?;
    let mut planner = Planner {
        plan: Plan::default(),
        frames: Vec::new(),
        current: 0,
        stretch: None,
        skips: Vec::new(),
        time: 0,
        dead: 0,
    };
    // Also an empty function takes some time.
    planner.point(operators.original_position(), 1, true);
    planner.open(false);
    while !operators.eof() {
        let at = operators.original_position();
        let operator = operators.read()?;
        planner.see(&operator, at, operators.original_position());
    }
    planner.plan.points.sort_by_key(|point| point.at);
    Ok(planner.plan)
}

impl Planner {
    fn see(&mut self, operator: &Operator<'_>, at: usize, next: usize) {
        // Also where it is never reached: it is copied all the same.
        self.plan.has_bulk |= is_bulk(operator);
        if self.dead > 0 {
            return self.see_dead(operator);
        }
        let cost = cost(operator);
        if cost > 0 {
            self.stretch.get_or_insert((at, 0)).1 += cost;
        }
        match operator {
            Operator::Block { .. } => {
                self.settle();
                self.open(false);
            }
            Operator::Loop { .. } => {
                self.settle();
                self.open(true);
                self.point(next, 0, true);
            }
            Operator::If { .. } => {
                self.settle();
                self.open(false);
                self.skip(0);
            }
            Operator::Else => self.otherwise(),
            Operator::End => self.close(),
            Operator::BrIf { relative_depth } => {
                self.settle();
                self.skip(*relative_depth);
            }
            Operator::Br { relative_depth } => {
                self.settle();
                self.skip(*relative_depth);
                self.dead = 1;
            }
            Operator::BrTable { targets } => {
                self.settle();
                // A table that can't be read was refused before.
                targets.targets().flatten().chain([targets.default()]).for_each(|depth| self.skip(depth));
                self.dead = 1;
            }
            Operator::Return
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::Unreachable => {
                self.settle();
                self.skip(u32::try_from(self.frames.len() - 1).unwrap_or(u32::MAX));
                self.dead = 1;
            }
            Operator::Call { .. } | Operator::CallIndirect { .. } => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.calls = true;
                }
            }
            _ => {}
        }
    }

    fn see_dead(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => self.dead += 1,
            Operator::Else if self.dead == 1 => self.otherwise(),
            Operator::End if self.dead == 1 => self.close(),
            Operator::End => self.dead -= 1,
            _ => {}
        }
    }

    /// Places a point and makes it current.
    fn point(&mut self, at: usize, cost: i64, check: bool) {
        self.current = self.plan.points.len();
        self.plan.points.push(Point { at, cost, check, speculative: 0, time: self.time });
    }

    /// Charges for the stretch that ends here.
    fn settle(&mut self) {
        let Some((at, cost)) = self.stretch.take() else { return };
        let point = &mut self.plan.points[self.current];
        let certain = self.skips.last().is_none_or(|&(_, time)| time <= point.time);
        if !certain && point.speculative + cost > SPECULATIVE {
            return self.point(at, cost, false);
        }
        point.cost += cost;
        point.speculative += if certain { 0 } else { cost };
    }

    /// From here to the end of the frame `depth` levels out, code may be skipped.
    fn skip(&mut self, depth: u32) {
        let target = (self.frames.len() - 1).saturating_sub(depth as usize);
        self.time += 1;
        while self.skips.last().is_some_and(|&(frame, _)| frame >= target) {
            self.skips.pop();
        }
        self.skips.push((target, self.time));
    }

    fn open(&mut self, is_loop: bool) {
        self.frames.push(Frame { outside: self.current, is_loop, calls: false });
    }

    fn otherwise(&mut self) {
        self.settle();
        self.dead = 0;
        if let Some(frame) = self.frames.last() {
            self.current = frame.outside;
        }
    }

    fn close(&mut self) {
        self.settle();
        self.dead = 0;
        let Some(frame) = self.frames.pop() else { return };
        self.current = frame.outside;
        self.plan.has_tight_loop |= frame.is_loop && !frame.calls;
        if let Some(outer) = self.frames.last_mut() {
            outer.calls |= frame.calls;
        }
        while self.skips.last().is_some_and(|&(skipped, _)| skipped >= self.frames.len()) {
            self.skips.pop();
        }
    }
}
