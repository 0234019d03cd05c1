//! What lists hold, and what they do not.

use serde_json::Value;

use super::*;

/// The hrefs that a device is listed with.
fn hrefs(device: &Value) -> Vec<&str> {
    let links = device["links"].as_array().unwrap();
    links
        .iter()
        .map(|link| link["href"].as_str().unwrap())
        .collect()
}

#[test]
fn the_cloud_adds_no_resources_of_its_own() {
    let mut world = World::new();
    world.light();
    world.report(device(2), Occurrence::Registered);
    world.report(device(2), Occurrence::Online);
    let light = format!("/{}{LIGHT}", device(1));
    for query in ["", "?content=base", "?content=all"] {
        let list = world.get_json(query);
        assert_eq!(hrefs(&list[0]), [light.as_str()], "{query}");
        assert_eq!(hrefs(&list[1]), [""; 0], "{query}");
    }
    for href in ["/oic/d", "/oic/p", "/oic/res", "/oic/sec/doxm", "/plgd/s"] {
        let response = world.get(&format!("/{}{href}", device(1)));
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{href}");
    }
    assert!(world.asks.is_empty());
}

#[test]
fn what_has_no_representation_to_show_is_left_out_of_content_all() {
    let mut world = World::new();
    world.light();
    let others = vec![link("/unknown"), link("/number"), link("/many")];
    world.report(device(1), Occurrence::LinksPublished(others));
    world.change(device(1), "/number", json("7"));
    world.change(device(1), "/many", json(r#"[{"href":"/a","rep":{}}]"#));
    let path = |href: &str| format!("/{}{href}", device(1));
    let one = world.get_json(&format!("/{}?content=all", device(1)));
    assert_eq!(
        one["links"],
        value!([
            {"href": path(LIGHT), "rep": {"state": true}},
            {"href": path("/many"), "rep": [{"href": "/a", "rep": {}}]},
        ])
    );
    assert_eq!(hrefs(&world.get_json("")[0]).len(), 4);
}
