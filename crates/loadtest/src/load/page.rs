//! The report as a page that needs nothing else: a table, and two plots over time.

use std::fmt::Write as _;

use super::{log::Second, summary::Summary};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 220.0;
/// Left and below of a plot, for its numbers.
const MARGIN: f64 = 60.0;

/// One curve: its name, its colour, and a value for each second that has one.
struct Curve {
    name: &'static str,
    colour: &'static str,
    values: Vec<Option<f64>>,
}

/// Draws the page.
pub(crate) fn page(summary: &Summary) -> String {
    let mut rows = String::new();
    for (name, value) in summary.rows() {
        // Writing to a string cannot fail.
        let _ = write!(rows, "<tr><th>{}<td>{}", escape(name), escape(&value));
    }
    let verdict = if summary.is_right() {
        "Every confirmed message came once and in order."
    } else {
        "Confirmed messages were lost, doubled or out of order."
    };
    #[expect(clippy::cast_precision_loss, reason = "counts of one second")]
    let count = |of: fn(&Second) -> u64| {
        let values = summary.seconds.iter().map(|second| Some(of(second) as f64));
        values.collect()
    };
    let time = |of: fn(&Second) -> Option<f64>| summary.seconds.iter().map(of).collect();
    let rates = plot(
        "messages a second",
        &[
            curve("sent", "#888", count(|second| second.sent)),
            curve("confirmed", "#06c", count(|second| second.confirmed)),
            curve("heard", "#080", count(|second| second.heard)),
        ],
    );
    let times = plot(
        "milliseconds until the other side heard it",
        &[
            curve("p50", "#080", time(|it| it.heard_ms.map(|ms| ms.p50))),
            curve("p99", "#c40", time(|it| it.heard_ms.map(|ms| ms.p99))),
        ],
    );
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Load test</title>\
         <style>body{{font:15px system-ui;margin:2em auto;max-width:60em;padding:0 1em}}\
         th{{text-align:left;font-weight:normal;white-space:pre;padding-right:2em}}\
         svg{{max-width:100%;height:auto}}</style>\
         <h1>Load test of {}</h1><p>{verdict}{rates}{times}<table>{rows}</table>\n",
        escape(&summary.url)
    )
}

const fn curve(name: &'static str, colour: &'static str, values: Vec<Option<f64>>) -> Curve {
    Curve {
        name,
        colour,
        values,
    }
}

fn plot(title: &str, curves: &[Curve]) -> String {
    let all = curves.iter().flat_map(|curve| &curve.values);
    let top = all.copied().flatten().fold(1.0, f64::max);
    let n = curves.first().map_or(0, |curve| curve.values.len());
    #[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
    let x = |second: usize| MARGIN + (WIDTH - MARGIN) * second as f64 / (n.max(2) - 1) as f64;
    let y = |value: f64| HEIGHT - HEIGHT * value / top;
    let mut lines = String::new();
    for curve in curves {
        let points = curve.values.iter().enumerate();
        let points = points.filter_map(|(second, value)| {
            value.map(|value| format!("{:.1},{:.1}", x(second), y(value)))
        });
        let points: Vec<String> = points.collect();
        let Curve { name, colour, .. } = curve;
        // Writing to a string cannot fail.
        let _ = write!(
            lines,
            "<polyline points=\"{}\" fill=none stroke=\"{colour}\" stroke-width=2><title>{name}</title></polyline>",
            points.join(" ")
        );
    }
    let names = curves
        .iter()
        .map(|Curve { name, colour, .. }| format!("<b style=\"color:{colour}\">{name}</b>"));
    let names: Vec<String> = names.collect();
    format!(
        "<h2>{title}</h2><p>{}<br><svg viewBox=\"0 -10 {WIDTH} {}\" role=img aria-label=\"{title}\">\
         <line x1={MARGIN} y1={HEIGHT} x2={WIDTH} y2={HEIGHT} stroke=\"#ccc\" />\
         <text x=0 y=10 font-size=14>{top:.0}</text><text x=0 y={HEIGHT} font-size=14>0</text>\
         <text x={MARGIN} y={} font-size=14>0 s</text>\
         <text x={WIDTH} y={} font-size=14 text-anchor=end>{} s</text>{lines}</svg>",
        names.join(" "),
        HEIGHT + 40.0,
        HEIGHT + 20.0,
        HEIGHT + 20.0,
        n.saturating_sub(1)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
