use std::{collections::BTreeMap, sync::Arc};

use leverframe_core::{model::Tokens, record::Recorder};
use serde_json::Value;

use super::*;
use crate::{Log, tests::sample::Sample};

/// A log of an answered request, one that fell back, one with nothing known,
/// and one with words that mean something to a spreadsheet.
fn records() -> Vec<Record> {
    let mut records: Vec<Record> = (0..4).map(|number| Sample::answered(number).record()).collect();
    records[1] = Sample { fell_back: true, completed: false, tag: Some(1), ..Sample::answered(1) }.record();
    records[2].usage.input = Tokens::Unknown;
    records[2].attempts[0].usage = Default::default();
    records[2].attempts[0].cost = None;
    records[2].user = None;
    records[3].user = Some("=HYPERLINK(\"http://evil\")".to_owned());
    records[3].conversation = Some("two\r\nlines, \"quoted\"".to_owned());
    records[3].tags = vec!["a".to_owned(), "b".to_owned()];
    records
}

fn export(format: Format, lines: Lines) -> (Exported, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::open(folder.path().join("log.redb")).expect("opens");
    records().into_iter().for_each(|record| log.record(&Arc::new(record)));
    log.flush().expect("written");
    let mut out = Vec::new();
    let exported = log.reader().export(&Query::all(), format, lines, &mut out).expect("exported");
    (exported, String::from_utf8(out).expect("UTF-8"))
}

/// The lines of a CSV, by their names.
fn parsed(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(|line| line.expect("a line")).collect()
}

#[test]
fn json_lines_of_requests_are_the_records() {
    let (exported, text) = export(Format::JsonLines, Lines::Requests);
    let lines: Vec<Record> = text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
    assert_eq!(lines, records().into_iter().rev().collect::<Vec<_>>());
    assert_eq!(exported, Exported { lines: 4, unreadable: 0 });
}

#[test]
fn both_formats_say_the_same_of_attempts() {
    let (exported, json) = export(Format::JsonLines, Lines::Attempts);
    let (same, csv) = export(Format::Csv, Lines::Attempts);
    assert_eq!((exported.lines, exported), (5, same));
    let json: Vec<BTreeMap<String, Value>> =
        json.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let csv = parsed(&csv);
    assert_eq!(json.len(), csv.len());
    for (json, csv) in json.iter().zip(&csv) {
        assert_eq!(json.keys().collect::<Vec<_>>(), csv.keys().collect::<Vec<_>>());
        for (name, value) in json {
            let text = match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(csv[name].trim_start_matches('\''), text, "{name}");
        }
    }
}

#[test]
fn what_nobody_knows_is_empty_and_not_0() {
    let (_, csv) = export(Format::Csv, Lines::Attempts);
    let lines = parsed(&csv);
    let unknown = &lines[1];
    for name in ["input_tokens", "output_tokens", "cost_nanodollars", "cost_is", "user", "status", "code"] {
        assert_eq!(unknown[name], "", "{name}");
    }
    let (failed, answered) = (&lines[2], &lines[4]);
    assert_eq!((failed["attempt"].as_str(), failed["code"].as_str()), ("1", "timeout"));
    assert_eq!((answered["cost_is"].as_str(), answered["prices_of"].len()), ("exact", "2026-11-23".len()));
    assert!(answered["started_at"].ends_with('Z'), "{}", answered["started_at"]);
}

#[test]
fn texts_come_back_whole_and_run_in_no_spreadsheet() {
    let (exported, csv) = export(Format::Csv, Lines::Requests);
    assert_eq!(exported.lines, 4);
    assert!(csv.lines().next().expect("names").starts_with("request_id,started_at,"));
    let lines = parsed(&csv);
    assert_eq!(lines[0]["conversation"], "two\r\nlines, \"quoted\"");
    assert_eq!(lines[0]["user"], "'=HYPERLINK(\"http://evil\")");
    assert_eq!(lines[0]["tags"], "a b");
    assert_eq!(lines[2]["state"], "failed");
    for (text, safe) in
        [("=1", "'=1"), ("+1", "'+1"), ("-1", "'-1"), ("@a", "'@a"), ("\t=1", "'\t=1"), ("a=1", "a=1")]
    {
        assert_eq!(written(&Cell::Text(text.to_owned())), safe);
    }
    assert_eq!(written(&Cell::Number(7)), "7");
}

#[test]
fn whoever_stops_reading_is_told_of_as_such() {
    struct Gone;
    impl io::Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::open(folder.path().join("log.redb")).expect("opens");
    log.record(&Arc::new(Sample::answered(1).record()));
    log.flush().expect("written");
    for format in [Format::Csv, Format::JsonLines] {
        let error = log.reader().export(&Query::all(), format, Lines::Requests, Gone).expect_err("gone");
        assert!(
            matches!(&error, ExportError::Write(error) if error.kind() == io::ErrorKind::BrokenPipe),
            "{error:?}"
        );
    }
}
