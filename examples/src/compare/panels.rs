//! A chart of panels beside each other: a row for each model, a panel for each thing that was measured.

use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;
use plotters::element::{Circle, PathElement, Rectangle, Text};
use plotters::prelude::{Cartesian2d, ChartBuilder, DrawingArea, IntoDrawingArea, IntoLogRange, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, RGBColor, TextStyle};

use super::svg::{INK, LINE, finish};

const WIDTH: u32 = 720;
const ROW: u32 = 21;
/// For the names of the rows, and between two panels.
const NAMES: u32 = 120;
const GAP: u32 = 18;
/// Above the rows, for the names of the panels, and below, for the numbers of the axis and for the legend.
const HEAD: u32 = 46;
const FOOT: u32 = 56;

/// Everything that one drawing shows.
#[derive(Debug)]
pub(super) struct Chart {
    /// What it is.
    pub(super) title: String,
    /// What it shows, in words.
    pub(super) description: String,
    /// The names of the rows, and their colours.
    pub(super) rows: Vec<(String, RGBColor)>,
    /// What the colours mean.
    pub(super) legend: Vec<(&'static str, RGBColor)>,
    /// From left to right.
    pub(super) panels: Vec<Panel>,
}

/// One of the things that were measured.
#[derive(Debug)]
pub(super) struct Panel {
    /// What.
    pub(super) title: String,
    /// In which unit.
    pub(super) unit: String,
    /// What lies between left and right.
    pub(super) scale: Scale,
    /// Pixels on the right that are kept free for what stands behind a mark.
    pub(super) margin: u32,
    /// Where lines are drawn, and what is written below them.
    pub(super) ticks: Vec<(f64, String)>,
    /// One for each row.
    pub(super) marks: Vec<Mark>,
}

/// From one number to another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scale {
    /// From 0 in equal steps.
    Linear(f64),
    /// Each step is ten times as much as the one before.
    Logarithmic(f64, f64),
}

/// What stands in one row of one panel.
#[derive(Clone, Debug)]
pub(super) enum Mark {
    /// Nothing was measured, for this reason.
    Nothing(String),
    /// From 0 to here.
    Bar(f64, String),
    /// Here, where there is no 0.
    Dot(f64, String),
    /// From here to there, and a dot where it begins.
    Range(f64, f64),
    /// Beyond the end.
    Never(String),
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failed = Box<dyn std::error::Error>;

impl Chart {
    /// The drawing.
    pub(super) fn svg(&self) -> Result<String, Failed> {
        let rows = self.rows.len() as u32;
        let mut drawn = String::new();
        {
            let root = SVGBackend::with_string(&mut drawn, (WIDTH, HEAD + rows * ROW + FOOT)).into_drawing_area();
            for (index, (name, _)) in (0..).zip(&self.rows) {
                let top = HEAD + index * ROW;
                // The eye is to stay in its row from the first panel to the last.
                if index % 2 == 0 {
                    let corners = [(0, top as i32), (WIDTH as i32, (top + ROW) as i32)];
                    root.draw(&Rectangle::new(corners, LINE.mix(0.1).filled()))?;
                }
                words(&root, name, (NAMES - 10, top + ROW / 2), HPos::Right, VPos::Center, Weight::Plain)?;
            }
            let panels = self.panels.len() as u32;
            let width = (WIDTH - NAMES - (panels - 1) * GAP) / panels;
            for (index, panel) in (0..).zip(&self.panels) {
                let left = NAMES + index * (width + GAP);
                words(&root, &panel.title, (left, 4), HPos::Left, VPos::Top, Weight::Bold)?;
                words(&root, &panel.unit, (left, 22), HPos::Left, VPos::Top, Weight::Plain)?;
                let area = root.clone().shrink((left, HEAD), (width - panel.margin, rows * ROW));
                match panel.scale {
                    Scale::Linear(most) => self.draw(&root, panel, chart(&area, 0.0..most, rows)?)?,
                    Scale::Logarithmic(least, most) => {
                        self.draw(&root, panel, chart(&area, (least..most).log_scale(), rows)?)?;
                    }
                }
            }
            self.draw_legend(&root, HEAD + rows * ROW + FOOT - 16)?;
            root.present()?;
        }
        Ok(finish(&drawn, &self.title, &self.description))
    }

    fn draw_legend(&self, root: &Area<'_>, top: u32) -> Result<(), Failed> {
        let mut left = NAMES;
        for (name, color) in &self.legend {
            let corner = (left as i32, top as i32);
            root.draw(&Rectangle::new([corner, (corner.0 + 11, corner.1 + 11)], color.filled()))?;
            words(root, name, (left + 17, top + 6), HPos::Left, VPos::Center, Weight::Plain)?;
            left += 17 + 8 * name.chars().count() as u32 + 20;
        }
        Ok(())
    }

    fn draw<X: Ranged<ValueType = f64>>(
        &self,
        root: &Area<'_>,
        panel: &Panel,
        chart: Plane<'_, X>,
    ) -> Result<(), Failed> {
        let rows = self.rows.len() as f64;
        let area = chart.plotting_area();
        let at = |x: f64, y: f64| {
            let (x, y) = chart.backend_coord(&(x, y));
            (x.max(0) as u32, y.max(0) as u32)
        };
        let (least, most) = panel.scale.ends();
        for (tick, label) in &panel.ticks {
            area.draw(&PathElement::new(vec![(*tick, 0.0), (*tick, rows)], LINE.mix(0.35)))?;
            let (x, y) = at(*tick, 0.0);
            words(root, label, (x, y + 5), HPos::Center, VPos::Top, Weight::Plain)?;
        }
        for (index, (mark, (_, color))) in panel.marks.iter().zip(&self.rows).enumerate() {
            let middle = rows - index as f64 - 0.5;
            let band = |from: f64, to: f64, half: f64| [(from, middle - half), (to, middle + half)];
            let behind = |value: f64| at(value.clamp(least, most), middle);
            match mark {
                Mark::Nothing(reason) => {
                    let (x, y) = at(least, middle);
                    words(root, reason, (x + 4, y), HPos::Left, VPos::Center, Weight::Faint)?;
                }
                Mark::Bar(value, label) => {
                    area.draw(&Rectangle::new(band(least, value.clamp(least, most), 0.32), color.filled()))?;
                    let (x, y) = behind(*value);
                    words(root, label, (x + 4, y), HPos::Left, VPos::Center, Weight::Plain)?;
                }
                Mark::Dot(value, label) => {
                    let place = value.clamp(least, most);
                    area.draw(&PathElement::new(vec![(least, middle), (place, middle)], color.mix(0.6)))?;
                    area.draw(&Circle::new((place, middle), 4, color.filled()))?;
                    let (x, y) = behind(*value);
                    words(root, label, (x + 8, y), HPos::Left, VPos::Center, Weight::Plain)?;
                }
                Mark::Range(from, to) => {
                    let (from, to) = (from.clamp(least, most), to.clamp(least, most));
                    area.draw(&Rectangle::new(band(from, to, 0.18), color.mix(0.45).filled()))?;
                    area.draw(&Circle::new((from, middle), 4, color.filled()))?;
                }
                Mark::Never(label) => {
                    area.draw(&Rectangle::new(band(least, most, 0.38), INK.mix(0.8)))?;
                    let ((left, y), (right, _)) = (at(least, middle), at(most, middle));
                    words(root, label, (left.midpoint(right), y), HPos::Center, VPos::Center, Weight::Plain)?;
                }
            }
        }
        Ok(())
    }
}

impl Scale {
    fn ends(self) -> (f64, f64) {
        match self {
            Self::Linear(most) => (0.0, most),
            Self::Logarithmic(least, most) => (least, most),
        }
    }
}

type Plane<'a, X> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, RangedCoordf64>>;

fn chart<'a, X: plotters::coord::ranged1d::AsRangedCoord<Value = f64>>(
    area: &Area<'a>,
    range: X,
    rows: u32,
) -> Result<Plane<'a, X::CoordDescType>, Failed> {
    Ok(ChartBuilder::on(area).build_cartesian_2d(range, 0.0..f64::from(rows))?)
}

/// How much words stand out.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Weight {
    Faint,
    Plain,
    Bold,
}

fn words(root: &Area<'_>, text: &str, at: (u32, u32), h_pos: HPos, v_pos: VPos, weight: Weight) -> Result<(), Failed> {
    let color = INK.mix(if weight == Weight::Faint { 0.65 } else { 1.0 });
    let style = TextStyle::from(("sans-serif", 16)).color(&color).pos(Pos::new(h_pos, v_pos));
    let style =
        if weight == Weight::Bold { TextStyle { font: style.font.style(FontStyle::Bold), ..style } } else { style };
    root.draw(&Text::new(text.to_owned(), (at.0 as i32, at.1 as i32), style))?;
    Ok(())
}
