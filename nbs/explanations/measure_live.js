// What nbs/live says in node: texts as JSON on stdin, answers as JSON on stdout; measure_live.py asks.
"use strict"
const { readFileSync } = require("node:fs")
const { join } = require("node:path")
const folder = join(__dirname, "..", "live")
require(join(folder, "weights.js"))
const { liveModel, wordsOf, without } = require(join(folder, "live.js"))

const { texts, timed } = JSON.parse(readFileSync(0, "utf8"))
const start = performance.now()
const model = liveModel(globalThis.liveWeights)
const opened = performance.now() - start
const answers = texts.map((text, i) => {
  const { ids, cut, probabilities } = model.answer(text)
  const full = i < 60 ? model.run(ids, true).probabilities : probabilities
  const apart = Math.max(...full.map((p, i) => Math.abs(p - probabilities[i])))
  return { ids, cut, probabilities, apart }
})

// Milliseconds of one answer with all that is shown, then of leaving each word out in turn
const time = (text) => {
  const begin = performance.now()
  model.answer(text, true)
  const answered = performance.now()
  const words = wordsOf(text)
  for (const { places } of words) model.answer(without(text, places))
  const done = performance.now()
  return { words: words.length, answer: answered - begin, each_left_out: done - answered }
}
const times = (timed || []).map(time)
console.log(JSON.stringify({ opened, answers, times, version: process.version }))
