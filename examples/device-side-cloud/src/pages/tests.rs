use std::time::{Duration, UNIX_EPOCH};

use account_linking::server::Pages as _;
use account_linking::server::pages::PageError;

use super::*;

#[test]
fn the_pages_of_this_program_can_be_read_and_say_their_language() {
    let pages = TemplatePages::open(None).unwrap();
    for html in [
        pages.error(PageError::Expired),
        pages.error(PageError::BadRequest),
        pages.error(PageError::Unavailable),
        pages.signed_out(),
        pages.device_decided(true),
        pages.device_decided(false),
    ] {
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"));
        assert!(html.contains("<h1>") && html.contains("name=\"viewport\""));
        assert!(!html.contains("{{") && !html.contains("<script") && !html.contains("style=\""));
    }
    let style = TemplatePages::style(None).unwrap();
    assert!(style.starts_with(b":root"));
    assert_eq!(
        style_sheet(&style).headers()["content-type"],
        "text/css; charset=utf-8"
    );
}

#[test]
fn an_operator_s_file_takes_the_place_of_ours_and_a_broken_one_is_named() {
    let folder = std::env::temp_dir().join(format!("pages-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    let open = || TemplatePages::open(Some(&folder));
    write(
        "frame.html",
        "<!doctype html><title>{{title}}</title>Ours: {{body}}",
    );
    let html = open().unwrap().signed_out();
    assert!(html.contains("Ours: <p>You are signed out"));
    for (text, wrong) in [
        (
            "{{titel}}",
            "frame.html: there is no {{titel}} on this page",
        ),
        (
            "{{text.nothing}}",
            "frame.html: there is no {{text.nothing}} on this page",
        ),
        ("{{title", "frame.html: a {{ has no }}"),
    ] {
        write("frame.html", text);
        assert_eq!(open().unwrap_err().to_string(), wrong);
    }
    fs::remove_file(folder.join("frame.html")).unwrap();
    write("texts.toml", "language = \"de\"");
    assert!(open().unwrap_err().to_string().contains("texts.toml"));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn values_cannot_break_out_of_a_page() {
    let template = Template::read("<p>{{name}}</p>{{list}}", &["name", "list"], |_| None).unwrap();
    let filled = template.fill(&[
        ("name", Value::Text("<b>{{list}}\"'&")),
        ("list", Value::Html("<i>{{name}}</i>")),
    ]);
    assert_eq!(
        filled,
        "<p>&#60;b&#62;{{list}}&#34;&#39;&#38;</p><i>{{name}}</i>"
    );
}

#[test]
fn a_day_is_written_for_people() {
    let at = UNIX_EPOCH + Duration::from_secs(1_795_363_200);
    assert_eq!(day(at), "22 Nov 2026");
}
