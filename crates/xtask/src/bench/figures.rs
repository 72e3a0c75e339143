//! The few statistics that benchmarks report.

pub(super) fn sorted(mut all: Vec<f64>) -> Vec<f64> {
    all.sort_by(f64::total_cmp);
    all
}

pub(super) fn median(sorted: &[f64]) -> f64 {
    quantile(sorted, 0.5)
}

pub(super) fn quantile(sorted: &[f64], q: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}

pub(super) fn mean(all: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = all.into_iter().fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    sum / f64::from(count)
}

pub(super) fn geomean(all: impl IntoIterator<Item = f64>) -> f64 {
    mean(all.into_iter().map(f64::ln)).exp()
}

/// To so many decimals.
pub(super) fn round(value: f64, decimals: i32) -> f64 {
    let unit = 10_f64.powi(decimals);
    (value * unit).round() / unit
}

/// How busy the machine was besides: the load average, for whoever reads the figures.
pub(super) fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}
