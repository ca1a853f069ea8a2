// A BERT of two layers, in plain JavaScript: from a text to its tokens, each head's attention and
// the probabilities of the classes. It loads in a page as a script, after weights.js, and in node
// with require(). `liveModel(weights)` opens what explanations/make_live.py has written.
"use strict"
;(() => {
  // ---- The tokenizer: BERT's, uncased. Python's gives the same pieces, but for some signs of rare
  // scripts that are new in Unicode; explanations/measure_live.py compares.
  const IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}" +
    "\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}"
  const space = /\p{White_Space}/u
  const unseen = /[\p{Cc}\p{Cf}\p{Co}\u0000\ufffd]/u
  const ideograph = new RegExp(`[${IDEOGRAPHS}]`, "u")
  const mark = /\p{Mn}/gu
  const parts = /[\p{P}$+<=>^`|~]|[^\p{P}$+<=>^`|~\p{White_Space}]+/gu
  const blank = /^[\p{Cc}\p{Cf}\p{Me}\p{Mn}\p{Zl}\p{Zp}\p{Zs}\u115f\u1160\u2800\u3164\uffa0]*$/u
  const wellFormed = (text) => text.replace(/\p{Surrogate}/gu, "\ufffd")

  // The teacher's articles were cleaned so; a text of which nothing would be left stays as it is
  const cleaned = (text) => {
    const left = text.replaceAll("\\", " ")
    return blank.test(left) ? text : left
  }

  // What the tokenizer reads: no control characters, no accents, small letters
  const normalize = (text) => {
    let clean = ""
    for (const c of cleaned(wellFormed(text))) {
      if (/[\t\n\r]/.test(c)) clean += " "
      else if (unseen.test(c)) continue
      else if (space.test(c)) clean += " "
      else clean += ideograph.test(c) ? ` ${c} ` : c
    }
    clean = clean.normalize("NFD").replace(mark, "")
    return Array.from(clean, (c) => c.toLowerCase()).join("")
  }

  // The longest piece that the vocabulary has, then the longest of what is left; else [UNK]
  const pieces = (word, numbers) => {
    const letters = Array.from(word), found = []
    if (letters.length > 100) return ["[UNK]"]
    for (let at = 0; at < letters.length;) {
      let end = letters.length, piece = ""
      for (; end > at; end--) {
        piece = (at ? "##" : "") + letters.slice(at, end).join("")
        if (numbers.has(piece)) break
      }
      if (end === at) return ["[UNK]"]
      found.push(piece)
      at = end
    }
    return found
  }

  // ---- The weights: bytes in base64; a matrix has 8 bits a number and a scale for each row
  const readTensors = ({ data, tensors }) => {
    const text = atob(data), bytes = new Uint8Array(text.length), found = {}
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
    for (const { name, shape, at, scales } of tensors) {
      const [rows, columns = 1] = shape, size = rows * columns
      if (scales === undefined) found[name] = new Float32Array(bytes.buffer, at, size)
      else {
        const whole = new Int8Array(bytes.buffer, at, size)
        const scale = new Float32Array(bytes.buffer, scales, rows)
        found[name] = Float32Array.from(whole, (w, i) => w * scale[Math.floor(i / columns)])
      }
    }
    return found
  }

  // ---- Arithmetic on arrays of n rows
  // y = x W' + b, two rows of x with four rows of W at a time
  const linear = (x, n, W, b) => {
    const out = b.length, d = x.length / n, y = new Float64Array(n * out)
    for (let r = 0; r < n; r += 2) {
      const two = r + 1 < n, x0 = r * d, x1 = two ? x0 + d : x0
      for (let o = 0; o < out; o += 4) {
        const w0 = o * d, w1 = w0 + d, w2 = w1 + d, w3 = w2 + d
        let a = 0, c = 0, e = 0, g = 0, p = 0, q = 0, s = 0, t = 0
        for (let i = 0; i < d; i++) {
          const u = x[x0 + i], v = x[x1 + i]
          const k = W[w0 + i], l = W[w1 + i], m = W[w2 + i], z = W[w3 + i]
          a += u * k; c += u * l; e += u * m; g += u * z
          p += v * k; q += v * l; s += v * m; t += v * z
        }
        const i = r * out + o
        y[i] = a + b[o]; y[i + 1] = c + b[o + 1]; y[i + 2] = e + b[o + 2]; y[i + 3] = g + b[o + 3]
        if (!two) continue
        const j = i + out
        y[j] = p + b[o]; y[j + 1] = q + b[o + 1]; y[j + 2] = s + b[o + 2]; y[j + 3] = t + b[o + 3]
      }
    }
    return y
  }

  // Each row to mean 0 and variance 1, then scaled and shifted; in place
  const layerNorm = (x, n, scale, shift, epsilon) => {
    const d = x.length / n
    for (let r = 0; r < n; r++) {
      let mean = 0, square = 0
      for (let i = r * d; i < (r + 1) * d; i++) mean += x[i] / d
      for (let i = r * d; i < (r + 1) * d; i++) square += (x[i] - mean) ** 2 / d
      const by = 1 / Math.sqrt(square + epsilon)
      for (let i = 0; i < d; i++) x[r * d + i] = (x[r * d + i] - mean) * by * scale[i] + shift[i]
    }
    return x
  }

  const softmax = (x, from, n) => {
    let most = -Infinity, sum = 0
    for (let i = from; i < from + n; i++) most = Math.max(most, x[i])
    for (let i = from; i < from + n; i++) sum += x[i] = Math.exp(x[i] - most)
    for (let i = from; i < from + n; i++) x[i] /= sum
    return x
  }

  const gelu = (x) => {
    for (let i = 0; i < x.length; i++) {
      const v = x[i]
      x[i] = 0.5 * v * (1 + Math.tanh(0.7978845608028654 * (v + 0.044715 * v * v * v)))
    }
    return x
  }

  const add = (x, y) => {
    for (let i = 0; i < x.length; i++) x[i] += y[i]
    return x
  }

  // ---- The model
  const liveModel = (weights) => {
    const { classes, heads, layers, positions, epsilon } = weights
    const vocabulary = weights.vocabulary.split("\n")
    const numbers = new Map(vocabulary.map((piece, i) => [piece, i]))
    const tensors = readTensors(weights)
    const of = (name) => tensors["bert." + name]
    const width = of("embeddings.LayerNorm.weight").length, size = width / heads

    // All pieces of a text; `cut` counts those beyond the model's positions
    const tokenize = (text) => {
      const words = normalize(text).match(parts) || []
      const all = [], most = positions - 2
      for (const word of words) all.push(...pieces(word, numbers))
      const tokens = ["[CLS]", ...all.slice(0, most), "[SEP]"]
      return { tokens, ids: tokens.map((t) => numbers.get(t)), cut: Math.max(0, all.length - most) }
    }

    const dense = (x, n, name) => linear(x, n, of(name + ".weight"), of(name + ".bias"))
    const norm = (x, n, name) =>
      layerNorm(x, n, of(name + ".LayerNorm.weight"), of(name + ".LayerNorm.bias"), epsilon)

    const embed = (ids) => {
      const words = of("embeddings.word_embeddings.weight")
      const places = of("embeddings.position_embeddings.weight")
      const kind = of("embeddings.token_type_embeddings.weight")
      const x = new Float64Array(ids.length * width)
      ids.forEach((id, r) => {
        for (let i = 0; i < width; i++)
          x[r * width + i] = words[id * width + i] + places[r * width + i] + kind[i]
      })
      return norm(x, ids.length, "embeddings")
    }

    // From the first `rows` tokens to all n: what each looks at, and what it takes from there
    const attend = (x, n, rows, name) => {
      const q = dense(x.subarray(0, rows * width), rows, name + ".self.query")
      const k = dense(x, n, name + ".self.key"), v = dense(x, n, name + ".self.value")
      const taken = new Float64Array(rows * width), looks = []
      for (let h = 0; h < heads; h++) {
        const look = new Float64Array(rows * n), first = h * size
        for (let r = 0; r < rows; r++) {
          for (let c = 0; c < n; c++) {
            let sum = 0
            for (let i = first; i < first + size; i++) sum += q[r * width + i] * k[c * width + i]
            look[r * n + c] = sum / Math.sqrt(size)
          }
          softmax(look, r * n, n)
          for (let c = 0; c < n; c++) {
            const share = look[r * n + c]
            for (let i = first; i < first + size; i++) taken[r * width + i] += share * v[c * width + i]
          }
        }
        looks.push(look)
      }
      return { taken, looks }
    }

    // One layer; only the first `rows` tokens come out of it
    const layer = (x, n, rows, number) => {
      const name = `encoder.layer.${number}`
      const { taken, looks } = attend(x, n, rows, name + ".attention")
      const own = x.subarray(0, rows * width)
      const out = name + ".attention.output"
      const y = norm(add(dense(taken, rows, out + ".dense"), own), rows, out)
      const inner = gelu(dense(y, rows, name + ".intermediate.dense"))
      return { x: norm(add(dense(inner, rows, name + ".output.dense"), y), rows, name + ".output"), looks }
    }

    // The class is read from [CLS] alone: without `attention`, the last layer does nothing else
    const run = (ids, attention = false) => {
      let x = embed(ids)
      const looks = []
      for (let i = 0; i < layers; i++) {
        const rows = attention || i < layers - 1 ? ids.length : 1
        const out = layer(x, ids.length, rows, i)
        x = out.x
        looks.push(out.looks)
      }
      const pooled = dense(x.slice(0, width), 1, "pooler.dense").map(Math.tanh)
      const logits = linear(pooled, 1, tensors["classifier.weight"], tensors["classifier.bias"])
      return { probabilities: Array.from(softmax(logits, 0, logits.length)), looks }
    }

    const answer = (text, attention = false) => {
      const read = tokenize(text)
      return { ...read, ...run(read.ids, attention) }
    }
    return { classes, heads, layers, positions, made: weights.made, tokenize, run, answer }
  }

  // ---- Words: which there are, and a text without some of them (as predict/explain has it)
  const LETTER = `(?![${IDEOGRAPHS}])[\\p{L}\\p{N}_]`
  const word = new RegExp(`[${IDEOGRAPHS}]|${LETTER}(?:${LETTER}|[\\p{M}\\p{Cf}]|` +
    `['’.&\\u2010\\u2011-](?=${LETTER})|(?<=\\d),(?=\\d))*`, "gu")

  // Each different word with all its places, in the order of the text
  const wordsOf = (text) => {
    const found = new Map()
    for (const m of text.matchAll(word)) {
      const key = m[0].toLowerCase(), place = [m.index, m.index + m[0].length]
      if (found.has(key)) found.get(key).places.push(place)
      else found.set(key, { word: m[0], places: [place] })
    }
    return [...found.values()]
  }

  const without = (text, places) => {
    let out = "", at = 0
    for (const [start, end] of places) {
      const before = text.slice(at, start)
      out += /^[\p{L}\p{N}]/u.test(text.slice(end)) ? before : before.trimEnd()
      at = end
    }
    return (out + text.slice(at)).trimStart()
  }

  const logOdds = (probabilities, label) => {
    const p = Math.max(probabilities[label], 1e-38)
    const rest = probabilities.reduce((sum, q, i) => (i === label ? sum : sum + q), 0)
    return Math.log(p / Math.max(rest, 1e-38))
  }

  const live = { liveModel, normalize, wordsOf, without, logOdds }
  Object.assign(globalThis, live)
  if (typeof module !== "undefined") module.exports = live
})()
