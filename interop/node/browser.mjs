// A person's browser: links an account, denies once, looks at what is linked and ends it. `node browser.mjs TASK`, TASK in JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const VIEWS = {
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: "dark" },
  desktop: { viewport: { width: 1280, height: 800 }, colorScheme: "light" },
};

const task = JSON.parse(process.argv[2]);
const browser = await chromium.launch({
  executablePath: task.chromium,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});
const told = { findings: [], pages: [] };

async function visitor(options) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  context.setDefaultTimeout(10000);
  return context.newPage();
}

// Looks at a page: nothing to scroll sideways, a picture for a person, and what axe has to say.
async function look(page, view, name) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  if (wide) told.findings.push(`${name} (${view}) is wider than the window`);
  await page.screenshot({ path: `${task.pictures}/${name}-${view}.png`, fullPage: true });
  await page.evaluate(AXE);
  const seen = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const one of seen.violations) {
    if (["serious", "critical"].includes(one.impact)) told.findings.push(`${name} (${view}): ${one.id}: ${one.help}`);
  }
  told.pages.push(`${name}-${view}`);
}

async function signIn(page, password) {
  await page.fill("#username", task.user);
  await page.keyboard.press("Tab");
  await page.keyboard.type(password);
  await page.keyboard.press("Enter");
}

// Goes to a button by keyboard alone and presses it.
async function press(page, selector) {
  for (let tabs = 0; tabs < 40; tabs++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((selector) => document.activeElement.matches(selector), selector)) {
      await page.keyboard.press("Enter");
      return;
    }
  }
  throw new Error(`no way to ${selector} by keyboard`);
}

const steps = {
  // Every page in every view, with a cancel at its end: where the browser was sent.
  async look() {
    for (const [view, options] of Object.entries(VIEWS)) {
      const page = await visitor({ ...options, bypassCSP: true });
      await page.goto(task.url);
      await look(page, view, "login");
      await signIn(page, "wrong");
      await page.waitForSelector("[role=alert]");
      await look(page, view, "login-failed");
      await signIn(page, task.password);
      await page.waitForSelector("[value=allow]");
      await look(page, view, "consent");
      await page.goto(task.broken_url);
      await look(page, view, "error");
      await page.goto(task.links_url);
      await look(page, view, "links");
      const { verification_uri, verification_uri_complete } = task.devices[view];
      await page.goto(verification_uri);
      await look(page, view, "device");
      await page.fill("#user_code", "BBBB-BBBB");
      await page.keyboard.press("Enter");
      await page.waitForSelector("[role=alert]");
      await look(page, view, "device-failed");
      await page.goto(verification_uri_complete);
      await page.press("#user_code", "Enter"); // a page may be loaded before its focus is
      await page.waitForSelector("[value=allow]");
      await look(page, view, "device-consent");
      await press(page, "[value=allow]");
      await page.waitForSelector("main:not(:has(form))");
      await look(page, view, "device-linked");
      await page.goto(task.links_url);
      await press(page, "[name=sign_out]");
      await page.waitForSelector("main:not(:has(form))");
      await look(page, view, "signed-out");
      await page.context().close();
    }
  },
  // Without script, and by keyboard: denies, then allows.
  async link() {
    const first = await visitor({ javaScriptEnabled: false });
    for (const [name, url] of [["cancel", task.url], ["allow", task.second_url]]) {
      const page = await first.context().newPage();
      await page.goto(url);
      if (name === "cancel") await signIn(page, task.password);
      await page.waitForSelector(`[value=${name}]`);
      // Nobody is where the browser is sent; that it is sent there is what counts.
      const sent = page.waitForRequest((request) => request.url().startsWith(task.redirect_uri));
      await press(page, `[value=${name}]`);
      told[name] = (await sent).url();
    }
  },
  // Without script: signs in to see the links, ends the one of the client, and signs out.
  async unlink() {
    const page = await visitor({ javaScriptEnabled: false });
    await page.goto(task.links_url);
    await signIn(page, task.password);
    await page.waitForSelector("[name=sign_out]");
    told.before = await page.locator("[name=unlink]").count();
    await page.locator("[name=unlink]").first().click();
    await page.waitForSelector("[name=sign_out]");
    told.after = await page.locator("[name=unlink]").count();
  },
};

try {
  await steps[task.step]();
} finally {
  await browser.close();
}
console.log(JSON.stringify(told));
