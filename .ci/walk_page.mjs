// Walk through the page of a running service as a reader does, by mouse and by keyboard: type, ask why, leave words
// out, classify a file, download it, read about the model; and see what the page does when the service refuses, fails,
// wants a key or is silent. Fails if a step does, if a rule of WCAG 2.1 A/AA is broken (axe-core), or if the page
// scrolls sideways, writes an error to the console or asks for anything elsewhere. This is not part of .ci/run.
//
//   apt-get install chromium && npm install playwright-core axe-core     (once, in any folder outside the repository)
//   newsclf serve RUN &
//   NODE_PATH=that-folder/node_modules node .ci/walk_page.mjs http://localhost:8000 [FOLDER FOR PICTURES]
//
// CHROMIUM names another browser than /usr/bin/chromium. The service must want no key.
import assert from "node:assert/strict"
import { createRequire } from "node:module"
import { mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const load = createRequire(join(process.env.NODE_PATH ?? process.cwd(), "here.js"))
const { chromium } = load("playwright-core"), axe = load("axe-core")
const [base, out] = process.argv.slice(2)
assert.ok(base, "usage: node .ci/walk_page.mjs URL [OUTDIR]")
if (out) mkdirSync(out, { recursive: true })
const { origin } = new URL(base), faults = []
const HEADLINE = "Oil slips as tankers return to port, and shares of brewers fall"
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] })

// A new reader: nothing is stored yet
const open = async (path = "/", setup = () => {}) => {
  const page = await browser.newPage()
  page.on("request", r => { if (!/^(data|blob):/.test(r.url()) && new URL(r.url()).origin !== origin) faults.push(`asks for ${r.url()}`) })
  page.on("pageerror", e => faults.push(`error in the page: ${e.message}`))
  const known = m => m.type() !== "error" || /^Failed to load resource: .*(401|422|429|500|ERR_FAILED)/.test(m.text()) // provoked
  page.on("console", m => known(m) || faults.push(`console: ${m.text()}`))
  page.seen = [] // what was asked, with what was answered
  const note = async r => page.seen.push({ ...r.request().postDataJSON(), ...await r.json().catch(() => ({})) })
  page.on("response", r => r.url().endsWith("/v1/classify") && r.ok() && note(r))
  await setup(page)
  await page.goto(origin + path)
  return page
}
const step = async (name, path, run, setup) => {
  const fault = await open(path, setup).then(run).catch(e => `${name}: ${e.message.slice(0, 600)}`)
  if (fault) faults.push(fault)
  console.log(fault ? "FAILED " : "ok     ", name)
  for (const context of browser.contexts()) await context.close()
}
const until = (page, test, what, arg) =>
  page.waitForFunction(test, arg, { timeout: 60000 }).catch(() => assert.fail(`waited in vain for: ${what}`))
const soon = async (test, tries = 100) => {
  for (; !test(); await new Promise(done => setTimeout(done, 30))) assert.ok(tries--, `never came true: ${test}`)
}
const text = (page, id) => page.locator(`#${id}`).textContent()
const says = (page, id, part) => until(page, ([id, part]) => document.getElementById(id).textContent.includes(part), `${part} in ${id}`, [id, part])
const explained = page => until(page, () => document.querySelector("#words:not([inert]) [data-word]") && !document.querySelector("#why.busy"), "words")
const write = async (page, words) => {
  await page.fill("#text", words)
  await explained(page)
}
const press = async (page, ...keys) => { for (const key of keys) await page.keyboard.press(key) }
const focused = (page, selector) => page.evaluate(selector => document.activeElement.matches(selector), selector)
const refuse = (status, code, message, field, headers = {}) => ({ status, headers, contentType: "application/json", body: JSON.stringify({ error: { code, message, field } }) })
const BUSY = refuse(429, "busy", "too many texts are waiting", undefined, { "Retry-After": "1" })

// A state of the page, wide and narrow, by day and by night
const look = async (page, state) => {
  for (const width of [390, 1280]) for (const colorScheme of ["light", "dark"]) {
    await page.setViewportSize({ width, height: 860 })
    await page.emulateMedia({ colorScheme })
    await page.waitForTimeout(300) // what fades, fades
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
    if (wide > 0) faults.push(`${state}, ${width} px: scrolls sideways by ${wide} px`)
    await page.evaluate(axe.source) // by the debugger, so the page's own policy against scripts stays in force
    const found = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] }))
    for (const v of found.violations) faults.push(`${state}, ${width} px, ${colorScheme}: ${v.id} on ${v.nodes[0].html.slice(0, 160)}`)
    if (out) await page.screenshot({ path: join(out, `${state}-${width}-${colorScheme}.png`) })
  }
}
await step("an empty page asks nothing and invites", "/", async page => {
  await look(page, "empty")
  await press(page, "Tab")
  assert.equal(page.seen.length, 0)
  assert.ok(await focused(page, ".skip"), "the first Tab is the skip link")
  await page.click("#examples button >> nth=1")
  await explained(page)
  await page.fill("#text", "   ")
  assert.ok(await page.locator("#invite").isVisible() && !await page.locator("#result").isVisible())
})
await step("the class follows the typing; only the last answer counts", "/", async page => {
  const dropped = []
  page.on("requestfailed", r => dropped.push(r.postDataJSON().text))
  await page.route("**/v1/classify", async route => { // the first answer comes late
    if (route.request().postDataJSON().text === "Goal") await page.waitForTimeout(1500)
    await route.continue().catch(() => {})
  })
  await Promise.all([page.waitForRequest("**/v1/classify"), page.fill("#text", "Goal")])
  await page.fill("#text", "")
  await page.locator("#text").pressSequentially(HEADLINE, { delay: 20 })
  await explained(page)
  assert.equal(dropped[0], "Goal")
  await soon(() => page.seen.at(-1)?.explain)
  assert.ok(page.seen.length < HEADLINE.length / 3, `${page.seen.length} requests for ${HEADLINE.length} keys`)
  const [r] = page.seen.at(-1).results, whole = await text(page, "sentence")
  assert.ok(whole.startsWith(`${r.label}, `) && whole.includes(r.decision === "auto" ? "can be filed" : "needs a review, because"), whole)
  const bars = await page.locator("#bars .bar").evaluateAll(all => all.map(bar => parseFloat(bar.style.width)))
  if (bars.length < 8) assert.ok(Math.abs(bars.reduce((a, b) => a + b) - 100) < 0.5)
  await says(page, "spoken", `${r.label}, `)
  await look(page, "explained")
})
await step("words are left out and put back, by keyboard", "/", async page => {
  const odd = `🍺 Café naïve: <img src=x onerror=alert(1)> 𝔘nion ${HEADLINE}. Oil again`
  await write(page, odd)
  await soon(() => page.seen.some(a => a.explain))
  const shown = await page.locator("#words [data-word]").evaluateAll(all => all.map(b => [Number(b.dataset.word), b.textContent]))
  page.seen.find(a => a.explain).results[0].words.forEach(({ word, places }, i) => { // after signs of two halves, too
    const mine = shown.filter(([n]) => n === i).map(([, t]) => t.toLowerCase())
    assert.deepEqual(mine, places.map(() => word.toLowerCase()))
  })
  assert.deepEqual([await text(page, "words"), await page.locator("main img").count()], [odd, 0])
  await page.focus("#text")
  await press(page, "Tab")
  assert.ok(await focused(page, "#words [data-word]"), "Tab goes to the words")
  await press(page, "Home", "End", "Enter") // the last word, “again”
  await says(page, "change", "Without “again”: ")
  assert.match(await text(page, "change"), /% → [<>]?[\d.]+%\./)
  await soon(() => page.seen.at(-1).text === odd.replace(" again", ""))
  await press(page, "ArrowLeft", " ") // “Oil”, in both places
  await says(page, "change", "Without “again” and “")
  await soon(() => !/\boil\b/i.test(page.seen.at(-1).text))
  await says(page, "kicker", "Without 2 words")
  await look(page, "without")
  await press(page, "Enter")
  await says(page, "change", "Without “again”: ")
  await page.click("#all-back") // and nothing moves it away
  await says(page, "change", "With all words: ")
  assert.equal(await page.locator("#words [aria-pressed=true]").count(), 0)
})
await step("refusals, failures, silence and a busy service are said, and passed", "/", async page => {
  const plan = [refuse(422, "no_sets", "no prediction sets"), refuse(422, "nul_character", "the text contains a NUL character", "text")]
  await page.route("**/v1/classify", route => {
    const next = plan.shift()
    return next === "silence" ? route.abort() : next ? route.fulfill(next) : route.continue()
  })
  await page.fill("#text", HEADLINE)
  await says(page, "text-error", "The text contains a NUL character.")
  await look(page, "error")
  plan.push("silence")
  await page.fill("#text", HEADLINE + " again")
  await says(page, "text-error", "The service does not answer.")
  for (const [answer, words] of [[refuse(500, "fault", "the model failed"), "The model failed."], [BUSY, "asking again in 1 second"]]) {
    plan.push(answer)
    await page.click("#text-error button")
    await says(page, "text-error", words)
  }
  const [sent] = await Promise.all([page.waitForRequest("**/v1/classify"), explained(page)])
  assert.equal(sent.postDataJSON().sets, undefined, "sets are not asked for after no_sets")
})
const KEY = "a-key-of-the-walk"
await step("a key is asked for, and kept for this tab only", "/", async page => {
  await page.waitForSelector("#key-form:not([hidden])")
  assert.ok(await focused(page, "#key"))
  await look(page, "key")
  for (const key of ["wrong", KEY]) {
    await press(page, ...key, "Enter")
    if (key !== KEY) await says(page, "key-error", "does not know this key")
  }
  await until(page, () => document.getElementById("model-name").textContent, "the name of the model")
  await write(page, HEADLINE)
  assert.ok(!await page.evaluate(key => JSON.stringify(localStorage).includes(key), KEY))
}, page => page.route("**/v1/**", route => {
  const { authorization, ...headers } = route.request().headers()
  return authorization === `Bearer ${KEY}` ? route.continue({ headers }) : route.fulfill(refuse(401, "no_key", "this needs a key"))
}))
await step("recent texts are kept, restored and cleared, or not kept where storage is denied", "/", async page => {
  await write(page, HEADLINE)
  await page.locator("#text").pressSequentially(" today")
  await says(page, "history-list", "today")
  assert.equal(await page.locator("#history-list li").count(), 1, "one draft, once")
  await page.reload()
  await page.click("#history-list button")
  assert.equal(await page.inputValue("#text"), `${HEADLINE} today`)
  await page.click("#forget")
  assert.ok(!await page.evaluate(text => JSON.stringify(localStorage).includes(text), HEADLINE))
  const denied = await open("/", page => page.addInitScript(() => {
    for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(window, name, { get() { throw new Error("denied") } })
  }))
  await denied.fill("#text", HEADLINE)
  await says(denied, "history-where", "Kept until you close this page")
})

// Cells that a spreadsheet would run, quotes and line breaks; one row has too few columns
const model = await (await fetch(`${origin}/v1/model`)).json(), columns = ["id", ...(model.columns.length ? model.columns : ["text"])]
const CELLS = ["=SUM(1) of oil", "Keeper saves, late \"and\" twice", "Talks in parliament\non a truce", "-3.5", "New chip understands speech", "@home, a robot"]
const rows = Array.from({ length: 450 }, (_, i) => [String(i), ...columns.slice(1).map(() => CELLS[i % 6])])
const lines = [columns, ...rows].map(row => row.map(cell => `"${cell.replaceAll('"', '""')}"`).join(","))
lines.splice(5, 0, "too few columns")
const file = { name: "news.csv", mimeType: "text/csv", buffer: Buffer.from(lines.join("\n") + "\n") }
const readCsv = content => content.split("\r\n").slice(0, -1).map(line => // what the page writes has CRLF after rows alone
  [...`,${line}`.matchAll(/,(?:"((?:[^"]|"")*)"|([^",]*))/g)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain))
await step("a file is classified, cancelled, resumed, sorted, filtered and downloaded", "/#file", async page => {
  const plan = [refuse(422, "empty_text", "the text is empty", "texts[4]"), BUSY]
  await page.route("**/v1/classify", route => (plan.length ? route.fulfill(plan.shift()) : route.continue()).catch(() => {}))
  await look(page, "file")
  await page.setInputFiles("#choose", file)
  await says(page, "job-says", "going on in 1 s")
  await page.click("#cancel")
  await says(page, "job-says", "Stopped: ")
  await press(page, "Enter") // “Go on” has the focus
  for (const id of ["job-says", "spoken"]) await says(page, id, "all done")
  assert.deepEqual([await page.locator("#rows tr").count(), await page.locator("#rows .fails").count()], [200, 2])
  await look(page, "table")
  await page.focus("#head th[data-by=confidence] button")
  await press(page, "Enter", "Enter")
  assert.equal(await page.getAttribute("#head th[data-by=confidence]", "aria-sort"), "descending")
  const first = await page.locator("#rows td.number:nth-child(3)").evaluateAll(all => all.map(c => parseFloat(c.textContent.replace(/[<>]/, ""))))
  assert.deepEqual(first, [...first].sort((a, b) => b - a))
  await page.click("#more")
  assert.equal(await page.locator("#rows tr").count(), 400)
  await page.selectOption("#by-decision", "failed")
  await says(page, "table-says", "2 rows.")
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#download")])
  const [head, ...got] = readCsv(readFileSync(await download.path(), "utf8").replace(/^\ufeff/, "")), at = head.indexOf("label")
  assert.deepEqual(head.filter(name => name !== "set"), [...columns, "label", "confidence", "decision", "error"])
  const read = got.filter(row => row[0] !== ""), good = got.filter(row => row[at + 2] !== "failed")
  assert.deepEqual(read.map(row => row[0]), rows.map(row => row[0]), "all rows in their order")
  assert.ok(good.length === 449 && good.every(row => model.classes.includes(row[at]) && row[at + 1] > 0 && row[at + 1] <= 1))
  for (const [i, row] of read.entries()) assert.equal(row[1], (/^[=@]/.test(CELLS[i % 6]) ? "'" : "") + CELLS[i % 6])
  await page.selectOption("#by-decision", "")
  await page.click("#rows button >> nth=0") // opens the row as an article
  await explained(page)
})
await step("a file is dropped; one that the service refuses is said", "/", async page => {
  const drop = content => page.evaluate(content => {
    const dataTransfer = new DataTransfer()
    dataTransfer.items.add(new File([content], "dropped.csv", { type: "text/csv" }))
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }))
  }, content)
  await drop(lines.slice(0, 4).join("\n") + "\n")
  await says(page, "job-says", "all done")
  await drop("nothing,that,fits\n1,2,3\n")
  await until(page, () => document.getElementById("file-error").textContent, "an error")
  await look(page, "refused")
})
await step("the model tells about itself", "/", async page => {
  await page.focus("nav a[href='#model']")
  await press(page, "Enter")
  for (const part of [model.sha256, ...model.classes]) await says(page, "pairs", part)
  assert.ok(await focused(page, "#model-title"))
  assert.ok((await text(page, "curl")).startsWith(`curl ${origin}/v1/classify`))
  await look(page, "model")
})
await browser.close()
for (const fault of faults) console.log(fault)
console.log(faults.length ? `${faults.length} faults` : "no fault")
process.exit(faults.length ? 1 : 0)
