// Look at a page of newsclf as a browser shows it: pictures of it at the width of a desk and of a telephone, by day and by night and on
// paper, and axe-core's rules of WCAG 2.0 and 2.1, levels A and AA. Fails if a rule is broken, if the page asks for anything outside
// itself, writes an error to the console or scrolls sideways, or if a link to a folded list does not unfold it.
//
//   apt-get install chromium && npm install playwright-core axe-core     (once, in any folder outside the repository)
//   NODE_PATH=that-folder/node_modules node .ci/look.mjs PAGE.html OUTDIR
//
// CHROMIUM names another browser than /usr/bin/chromium. This is not part of .ci/run, which needs no browser.
import { createRequire } from "node:module"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { pathToFileURL } from "node:url"

const load = createRequire(join(process.env.NODE_PATH ?? process.cwd(), "here.js"))
const { chromium } = load("playwright-core"), axe = load("axe-core")
const [page_file, out] = process.argv.slice(2)
if (!out) { console.error("usage: node .ci/look.mjs PAGE.html OUTDIR"); process.exit(2) }
mkdirSync(out, { recursive: true })

const url = pathToFileURL(resolve(page_file)).href, faults = []
const profile = mkdtempSync(join(tmpdir(), "look-"))
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] })

for (const width of [1280, 390]) for (const colorScheme of ["light", "dark"]) {
  const name = `${width}-${colorScheme}`, page = await browser.newPage()
  page.on("request", r => { if (r.url() !== url) faults.push(`${name}: asks for ${r.url()}`) })
  page.on("console", m => { if (["error", "warning"].includes(m.type())) faults.push(`${name}: ${m.text()}`) })
  await page.setViewportSize({ width, height: width > 1000 ? 900 : 844 })
  await page.emulateMedia({ colorScheme })
  await page.goto(url)
  await page.screenshot({ path: join(out, `${name}.png`), fullPage: true })

  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  if (wide > 0) faults.push(`${name}: scrolls sideways by ${wide} px`)

  await page.evaluate(() => document.querySelectorAll("details").forEach(d => d.open = true))
  await page.evaluate(axe.source) // by the debugger, so the page's own policy against scripts stays in force
  const found = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] }))
  for (const v of found.violations) faults.push(`${name}: ${v.id} (${v.impact}) on ${v.nodes.length}: ${v.nodes[0].html.slice(0, 160)}`)
  const unsure = found.incomplete.map(v => `${v.id} ${v.nodes.length}`).join(", ")
  const left = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  if (left > 0) faults.push(`${name}: unfolded, scrolls sideways by ${left} px`)
  console.log(`${name}: ${found.passes.length} rules hold, ${found.violations.length} broken${unsure ? `; to be judged by eye: ${unsure}` : ""}`)
  await page.screenshot({ path: join(out, `${name}-unfolded.png`), fullPage: true })
  await page.close()
}

// By keyboard alone: the first key shows the way past the contents; a number of the matrix unfolds its list; a summary opens by Enter.
const page = await browser.newPage()
await page.goto(url)
await page.keyboard.press("Tab")
if (!await page.evaluate(() => document.activeElement.matches(".skip") && document.activeElement.getBoundingClientRect().left >= 0)) faults.push("the first Tab does not show the skip link")
const cell = await page.$('a[href^="#cell-"]')
if (cell) {
  await cell.focus()
  await page.keyboard.press("Enter")
  await page.waitForTimeout(300)
  if (!await page.evaluate(() => document.querySelector(":target")?.closest("details")?.open)) faults.push("a link to a list does not unfold it")
}
const summary = await page.$("details:not([open]) > summary")
if (summary) {
  await summary.focus()
  await page.keyboard.press("Enter")
  if (!await summary.evaluate(s => s.parentNode.open)) faults.push("Enter does not open a summary")
}
await page.pdf({ path: join(out, "paper.pdf"), format: "A4" })
await browser.close()
rmSync(profile, { recursive: true, force: true })
console.log(faults.length ? faults.join("\n") : "no fault found")
process.exit(faults.length ? 1 : 0)
