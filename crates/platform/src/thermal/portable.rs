//! Where nobody has looked yet: no sensor. Windows' ACPI zone often never moves, and reading it needs an administrator.

use super::Sample;

pub(super) const SOURCE: &str = "none";

#[derive(Debug)]
pub(super) struct Sensors;

impl Sensors {
    pub(super) const fn find() -> Self {
        Self
    }

    #[expect(
        clippy::unused_self,
        clippy::needless_pass_by_ref_mut,
        reason = "the same names as where there are sensors"
    )]
    pub(super) fn samples(&mut self, _take: &mut dyn FnMut(Sample<'_>)) {}

    #[expect(clippy::unused_self, reason = "the same names as where there are sensors")]
    pub(super) const fn frequency(&self) -> Option<f32> {
        None
    }
}
