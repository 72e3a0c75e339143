//! How many values the loops of a function carry around: each loop may carry every local that is touched inside it,
//! and a compiler keeps an account of each such pair. A few bytes of nested loops can mean millions of them.

use wasmparser::Operator;

/// A running count over the operators of one function.
#[derive(Debug)]
pub(super) struct Carried {
    /// Operators so far.
    now: u32,
    /// The blocks that are open; those which are loops began at this operator.
    open: Vec<Option<u32>>,
    /// When each open loop began, outermost first.
    loops: Vec<u32>,
    /// When each local was last touched.
    touched: Vec<Option<u32>>,
    pub(super) pairs: u64,
}

impl Carried {
    /// For a function with so many locals, parameters included.
    pub(super) fn new(locals: u32) -> Self {
        Self { now: 0, open: Vec::new(), loops: Vec::new(), touched: vec![None; locals as usize], pairs: 0 }
    }

    pub(super) fn see(&mut self, operator: &Operator<'_>) {
        self.now += 1;
        match *operator {
            Operator::Loop { .. } => {
                self.open.push(Some(self.now));
                self.loops.push(self.now);
            }
            Operator::Block { .. } | Operator::If { .. } => self.open.push(None),
            Operator::End => {
                if let Some(Some(_)) = self.open.pop() {
                    self.loops.pop();
                }
            }
            Operator::LocalGet { local_index }
            | Operator::LocalSet { local_index }
            | Operator::LocalTee { local_index } => {
                self.touch(local_index);
            }
            _ => {}
        }
    }

    /// Counts the open loops in which this local was not touched before: those that began after its last touch.
    fn touch(&mut self, local: u32) {
        let Some(last) = self.touched.get_mut(local as usize) else { return };
        let known = last.map_or(0, |last| self.loops.partition_point(|&began| began <= last));
        self.pairs += (self.loops.len() - known) as u64;
        *last = Some(self.now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> u64 {
        let module = wat::parse_str(format!("(module (func (local i32 i32) {text}))")).unwrap();
        let mut carried = Carried::new(2);
        for payload in wasmparser::Parser::new(0).parse_all(&module) {
            if let wasmparser::Payload::CodeSectionEntry(body) = payload.unwrap() {
                body.get_operators_reader().unwrap().into_iter().for_each(|operator| carried.see(&operator.unwrap()));
            }
        }
        carried.pairs
    }

    #[test]
    fn a_local_counts_once_for_each_loop_that_touches_it() {
        assert_eq!(count("(drop (local.get 0))"), 0);
        assert_eq!(count("(loop (drop (local.get 0)) (drop (local.get 0)))"), 1);
        assert_eq!(count("(loop (drop (local.get 0)) (local.set 1 (i32.const 0)))"), 2);
        assert_eq!(count("(loop (loop (loop (drop (local.get 0)))))"), 3);
        assert_eq!(count("(loop (drop (local.get 0)) (loop (drop (local.get 0))))"), 2);
        assert_eq!(count("(loop (loop (drop (local.get 0))) (loop (drop (local.get 0))) (drop (local.get 0)))"), 3);
        assert_eq!(
            count("(loop (block (if (i32.const 1) (then (drop (local.get 0)) (drop (local.tee 1 (i32.const 1)))))))"),
            2
        );
        assert_eq!(count("(loop (drop (local.get 0))) (loop (drop (local.get 0)))"), 2);
    }
}
