//! Plots as SVG, the same bytes every time: panels below each other over one axis of time.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

const WIDTH: f64 = 900.0;
const PANEL: f64 = 170.0;
const GAP: f64 = 34.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 44.0;
/// Half pixels between two points that belong to one line.
const GAP_ENDS_LINE: i64 = 8;
/// Told apart by hue and by brightness; named at the top as well.
const COLOURS: [&str; 4] = ["#2563eb", "#d97706", "#0f766e", "#be185d"];

pub(crate) struct Plot {
    title: String,
    span: Range<f64>,
    unit: &'static str,
    /// Seconds in a unit.
    unit_seconds: f64,
    /// Units between two numbers on the axis.
    every: u32,
    panels: Vec<Panel>,
}

struct Panel {
    label: &'static str,
    scale: Range<f64>,
    marks: Vec<f64>,
    lines: Vec<(String, Vec<(f64, f64)>)>,
    bands: Vec<(f64, f64, String)>,
}

impl Plot {
    pub(crate) fn new(title: &str, span: Range<f64>, unit: &'static str, unit_seconds: f64, every: u32) -> Self {
        Self { title: title.to_owned(), span, unit, unit_seconds, every, panels: Vec::new() }
    }

    /// A panel with dashed lines at `marks`.
    pub(crate) fn panel(&mut self, label: &'static str, scale: Range<f64>, marks: &[f64]) -> usize {
        let (lines, bands) = (Vec::new(), Vec::new());
        self.panels.push(Panel { label, scale, marks: marks.to_vec(), lines, bands });
        self.panels.len() - 1
    }

    pub(crate) fn line(&mut self, panel: usize, name: &str, points: impl Iterator<Item = (f64, f64)>) {
        self.panels[panel].lines.push((name.to_owned(), points.collect()));
    }

    /// A shaded time with a name.
    pub(crate) fn band(&mut self, panel: usize, from: f64, to: f64, name: &str) {
        self.panels[panel].bands.push((from, to, name.to_owned()));
    }

    fn x(&self, at: f64) -> f64 {
        LEFT + (at - self.span.start) / (self.span.end - self.span.start) * (WIDTH - LEFT - RIGHT)
    }

    pub(crate) fn svg(&self) -> String {
        let height = TOP + self.panels.len() as f64 * (PANEL + GAP) + 20.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" \
             font-size=\"12\" fill=\"#1f2937\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"15\" font-weight=\"600\">{}</text>\n",
            self.title
        );
        for (number, panel) in self.panels.iter().enumerate() {
            self.draw(&mut svg, panel, TOP + number as f64 * (PANEL + GAP), number == 0);
        }
        let below = TOP + self.panels.len() as f64 * (PANEL + GAP) - GAP + 16.0;
        let units = (self.span.end - self.span.start) / self.unit_seconds;
        for tick in 0..=(units as u32) / self.every {
            let value = f64::from(tick * self.every);
            let x = self.x(self.span.start + value * self.unit_seconds);
            put(&mut svg, format_args!("<text x=\"{x:.0}\" y=\"{below:.0}\" text-anchor=\"middle\">{value:.0}</text>"));
        }
        let (x, y) = (WIDTH - RIGHT, below + 16.0);
        put(&mut svg, format_args!("<text x=\"{x:.0}\" y=\"{y:.0}\" text-anchor=\"end\">{}</text>", self.unit));
        svg.push_str("</svg>\n");
        svg
    }

    fn draw(&self, svg: &mut String, panel: &Panel, top: f64, legend: bool) {
        let y = |value: f64| {
            let part = (value - panel.scale.start) / (panel.scale.end - panel.scale.start);
            top + PANEL - part.clamp(0.0, 1.0) * PANEL
        };
        let right = WIDTH - RIGHT;
        for (number, (from, to, name)) in panel.bands.iter().enumerate() {
            let (x, width) = (self.x(*from), self.x(*to) - self.x(*from));
            let shade = if number.is_multiple_of(2) { "#f3f4f6" } else { "#e5e7eb" };
            put(
                svg,
                format_args!(
                    "<rect x=\"{x:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{PANEL}\" fill=\"{shade}\"/>"
                ),
            );
            let (x, y) = (x + 11.0, top + 6.0);
            put(
                svg,
                format_args!(
                    "<text transform=\"translate({x:.1} {y}) rotate(-90)\" text-anchor=\"end\" fill=\"#6b7280\" \
                     font-size=\"10\">{name}</text>"
                ),
            );
        }
        put(svg, format_args!("<text x=\"{LEFT}\" y=\"{:.0}\" fill=\"#6b7280\">{}</text>", top - 6.0, panel.label));
        for value in [panel.scale.start, (panel.scale.start + panel.scale.end) / 2.0, panel.scale.end] {
            let at = y(value);
            put(svg, format_args!("<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#d1d5db\"/>"));
            let (x, at) = (LEFT - 8.0, at + 4.0);
            put(svg, format_args!("<text x=\"{x}\" y=\"{at:.1}\" text-anchor=\"end\">{value:.0}</text>"));
        }
        for mark in &panel.marks {
            let at = y(*mark);
            put(svg, format_args!("<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#b91c1c\" stroke-dasharray=\"5 4\"/>"));
        }
        for (number, (name, points)) in panel.lines.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            let path = self.path(points, y);
            put(svg, format_args!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>"));
            if legend && panel.lines.len() > 1 {
                let x = WIDTH - RIGHT - 130.0 * (panel.lines.len() - number) as f64;
                put(svg, format_args!("<path d=\"M{x:.0} 18h18\" stroke=\"{colour}\" stroke-width=\"3\"/>"));
                put(svg, format_args!("<text x=\"{:.0}\" y=\"22\">{name}</text>", x + 24.0));
            }
        }
    }

    /// Points that lie where the eye sees no other are left out.
    fn path(&self, points: &[(f64, f64)], y: impl Fn(f64) -> f64) -> String {
        let places: Vec<(i64, i64)> = points
            .iter()
            .map(|(at, value)| ((self.x(*at) * 2.0).round() as i64, (y(*value) * 2.0).round() as i64))
            .collect();
        let mut path = String::new();
        let mut drawn = None;
        for (number, place) in places.iter().enumerate() {
            let (before, after) = (number.checked_sub(1).map(|at| places[at]), places.get(number + 1));
            // Where nothing was lived through there is no line.
            let near = |it: (i64, i64)| (it.0 - place.0).abs() <= GAP_ENDS_LINE;
            let level = |it: &(i64, i64)| near(*it) && it.1 == place.1;
            if (before.as_ref().is_some_and(level) && after.is_some_and(level)) || drawn == Some(*place) {
                continue;
            }
            drawn = Some(*place);
            let letter = if before.is_some_and(near) { 'L' } else { 'M' };
            write!(path, "{letter}{} {}", half(place.0), half(place.1)).expect("writing to a string can't fail");
        }
        path
    }
}

fn half(doubled: i64) -> String {
    if doubled % 2 == 0 { (doubled / 2).to_string() } else { format!("{}.5", doubled / 2) }
}

fn put(svg: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(svg, "{line}").expect("writing to a string can't fail");
}

/// Compares with the plot in `docs/plots`, or writes it where `SURGE_PLOTS=write` asks for that.
pub(crate) fn checked_in(name: &str, svg: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plots").join(name);
    if std::env::var_os("SURGE_PLOTS").is_some_and(|it| it == "write") {
        std::fs::write(&path, svg).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == svg, "docs/plots/{name} is not what the code does now: run `cargo xtask plots` and look at it");
}
