// Take the pictures of the page of a running service that the book shows: an article with its class and the words
// that decided, as wide as a desk (by day and by night) and as a phone. The service must want no key. The pictures in
// nbs/images were taken of `newsclf train --validation-size 0.3 --file-precision 0.9` on the bundled sample.
//
//   apt-get install chromium && npm install playwright-core     (once, in any folder outside the repository)
//   newsclf serve RUN &
//   NODE_PATH=that-folder/node_modules node .ci/picture_page.mjs http://localhost:8000 nbs/images
//
// CHROMIUM names another browser than /usr/bin/chromium. This is not part of .ci/run.
import assert from "node:assert/strict"
import { statSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"

const load = createRequire(join(process.env.NODE_PATH ?? process.cwd(), "here.js"))
const { chromium } = load("playwright-core")
const [base, out] = process.argv.slice(2)
assert.ok(out, "usage: node .ci/picture_page.mjs URL OUTDIR")
const ARTICLE = "Phone maker bets on football: its new chip counts every pass of the league, and investors cheer"
const MOST = 120_000 // bytes of a picture
const WIDE = { width: 1000, height: 560 }, PHONE = { width: 390, height: 884 }
const PICTURES = [["service-wide", WIDE, "light", 1], ["service-wide-dark", WIDE, "dark", 1], ["service-phone", PHONE, "light", 1.25]]

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] })
for (const [name, viewport, colorScheme, deviceScaleFactor] of PICTURES) {
  const page = await browser.newPage({ viewport, colorScheme, deviceScaleFactor, reducedMotion: "reduce" })
  await page.goto(base)
  await page.fill("#text", ARTICLE)
  await page.waitForFunction(() => document.querySelector("#words:not([inert]) [data-word]") && !document.querySelector("#why.busy"), null, { timeout: 60000 })
  await page.evaluate(() => document.activeElement.blur())
  await page.waitForTimeout(500) // what fades, fades
  const path = join(out, `${name}.png`)
  await page.screenshot({ path })
  const { size } = statSync(path)
  assert.ok(size < MOST, `${path} has ${size} bytes; at most ${MOST}`)
  console.log(path, size)
}
await browser.close()
