"""A browser as far as account linking needs one: it reads forms, fills them in, and follows redirects."""

import html.parser
import urllib.parse

from checks import expect


class Form:
    def __init__(self, attributes):
        self.action = attributes.get("action", "")
        self.method = attributes.get("method", "get").lower()
        self.fields = {}    # name -> (type, value)
        self.buttons = []   # (name, value)


class FormReader(html.parser.HTMLParser):
    """Collects the forms of a page."""

    def __init__(self):
        super().__init__()
        self.forms = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.forms.append(Form(attributes))
        if not self.forms or "name" not in attributes:
            return
        kind, name, value = attributes.get("type", "text"), attributes["name"], attributes.get("value") or ""
        if tag == "button" or (tag == "input" and kind == "submit"):
            self.forms[-1].buttons.append((name, value))
        elif tag == "input" and (kind not in ("checkbox", "radio") or "checked" in attributes):
            self.forms[-1].fields[name] = (kind, value)


def read_forms(page):
    reader = FormReader()
    reader.feed(page.text)
    expect(reader.forms, f"no form on the page {page.url}: {page.text[:400]}")
    return reader.forms


def submit(browser, page, form, typed=None, button=None):
    """Sends a form as a browser would: hidden fields, what the user typed, and the button pressed."""
    data = {name: value for name, (_, value) in form.fields.items()}
    data.update(typed or {})
    if button is not None:
        data.update([button])
    target = urllib.parse.urljoin(page.url, form.action)
    expect(form.method == "post", f"a form that changes something must be a POST, and {target} is a {form.method}")
    return browser.post(target, data=data, headers={"Origin": origin(page.url)}, allow_redirects=False)


def origin(url):
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def follow(browser, page, stop_at):
    """Follows redirects until a page, or until one leads to `stop_at`; (page, None) or (None, that URL)."""
    while page.is_redirect:
        target = urllib.parse.urljoin(page.url, page.headers["Location"])
        if target.startswith(stop_at):
            return None, target
        page = browser.get(target, allow_redirects=False)
    return page, None


def log_in_and_allow(browser, url, name, password, redirect_uri):
    """Walks from an authorization URL through the login and consent forms; the URL it ends at."""
    page, done = follow(browser, browser.get(url, allow_redirects=False), redirect_uri)
    while done is None:
        expect(page.status_code == 200, f"{page.url} answers {page.status_code}: {page.text[:400]}")
        form = read_forms(page)[0]
        secret = [field for field, (kind, _) in form.fields.items() if kind == "password"]
        if secret:
            plain = [field for field, (kind, _) in form.fields.items() if kind in ("text", "email")]
            expect(len(plain) == 1, f"a login form asks for one name, and this one for {plain}")
            answer = submit(browser, page, form, {plain[0]: name, secret[0]: password}, next(iter(form.buttons), None))
        else:
            allow = [one for one in form.buttons if one[1].lower() in ("allow", "approve", "yes", "true")]
            expect(len(allow) == 1, f"a consent page has one button that allows, and this one {form.buttons}")
            answer = submit(browser, page, form, button=allow[0])
        page, done = follow(browser, answer, redirect_uri)
    return done
