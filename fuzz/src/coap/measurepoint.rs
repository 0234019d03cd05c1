//! A product's template and what a device posts, one after the other with a zero byte between; without one, both are the same.

use coap_psk::measurepoint::{Limits, Post, Scalar, Template};
use uci_model::{Href, Interface, ResourceType};

/// What reads is written as something that reads as the same, what a template takes makes links, and a post changes what the
/// template says or nothing.
pub fn measurepoint(bytes: &[u8]) {
    let zero = bytes.iter().position(|byte| *byte == 0);
    let (template, envelope) = match zero {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, bytes),
    };
    let template = Template::from_json(template).ok();
    if let Some(template) = &template {
        check_template(template);
    }
    let Ok(post) = Post::from_json(envelope, &Limits::default()) else {
        return;
    };
    assert!((1..=Limits::default().max_points).contains(&post.points.len()));
    let written = post.to_json().expect("what was read can be written");
    // A number that is written with more digits than it came with is longer.
    let mut limits = Limits::default();
    limits.max_len = usize::MAX;
    let again = Post::from_json(&written, &limits);
    assert_eq!(again.ok().as_ref(), Some(&post));
    post.to_answer().expect("what was read can be answered");
    if let Some(template) = template {
        check_updates(&template, &post);
    }
}

fn check_template(template: &Template) {
    if let Ok(written) = template.to_json() {
        let again = Template::from_json(&written);
        assert_eq!(again.ok().as_ref(), Some(template));
        // Nothing is withdrawn by the same again.
        assert_eq!(template.clone().replacing(template), *template);
    }
    for resource in template.resources() {
        let href: Href = resource.href.parse().expect("an href");
        assert_eq!(href.as_str(), resource.href);
        for text in &resource.types {
            ResourceType::try_from(text.clone()).expect("a resource type");
        }
        for text in &resource.interfaces {
            Interface::try_from(text.clone()).expect("an interface");
        }
    }
    for text in &template.device().types {
        ResourceType::try_from(text.clone()).expect("a device type");
    }
    for href in template.withdrawn() {
        assert!(href.parse::<Href>().is_ok() && template.resource(href).is_none());
    }
}

fn check_updates(template: &Template, post: &Post) {
    let Ok(updates) = template.updates(post) else {
        return;
    };
    let mut fed = 0;
    for update in &updates {
        let resource = template.resource(update.href).expect("one of the template");
        fed += update.properties.len();
        for (name, value) in &update.properties {
            let known = resource.properties.iter().find(|one| one.name == *name);
            let property = known.expect("one of the template");
            assert!(post.points.contains_key(&property.point));
            if let Scalar::Number(number) = value {
                assert!(number.is_finite());
            }
        }
    }
    assert_eq!(fed, post.points.len());
}
