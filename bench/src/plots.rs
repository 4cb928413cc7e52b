//! The curves of a report, as SVG.

use std::io;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::report::Curves;

/// Pixels of a plot.
const SIZE: (u32, u32) = (720, 400);

/// A colour for each curve, distinguishable with red-green colour blindness.
const COLOURS: [RGBColor; 3] =
    [RGBColor(0, 90, 181), RGBColor(220, 50, 32), RGBColor(120, 120, 120)];

/// Draws one plot with logarithmic axes: the values span orders of magnitude.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn draw(curves: &Curves, directory: &Path) -> io::Result<()> {
    let path = directory.join(format!("{}.svg", curves.name));
    let area = SVGBackend::new(&path, SIZE).into_drawing_area();
    draw_on(&area, curves).map_err(|error| io::Error::other(error.to_string()))
}

fn draw_on<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    curves: &Curves,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    area.fill(&WHITE)?;
    let points = || curves.curves.iter().flat_map(|(_, points)| points);
    let (left, right) = range(points().map(|point| point.0));
    let (bottom, top) = range(points().map(|point| point.1));
    let mut chart = ChartBuilder::on(area)
        .caption(&curves.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d((left..right).log_scale(), (bottom / 1.3..top * 1.3).log_scale())?;
    let [x, y] = &curves.axes;
    chart.configure_mesh().x_desc(x).y_desc(y).light_line_style(WHITE).draw()?;
    for ((name, points), colour) in curves.curves.iter().zip(COLOURS) {
        chart
            .draw_series(
                LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3),
            )?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    if curves.curves.len() > 1 {
        chart
            .configure_series_labels()
            .background_style(WHITE)
            .border_style(RGBColor(200, 200, 200))
            .draw()?;
    }
    area.present()
}

/// From the least to the greatest; above 0, which has no logarithm.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (least, most) = values
        .fold((f64::INFINITY, 0.0_f64), |(least, most), value| (least.min(value), most.max(value)));
    if least.is_finite() && least > 0.0 && most > least { (least, most) } else { (1.0, 10.0) }
}
