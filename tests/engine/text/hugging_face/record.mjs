// Writes what Hugging Face's tokenizers library makes of random texts with BERT's WordPiece: ids.json
// beside this script.
//
//     npm install --ignore-scripts tokenizers@0.23.2   # in a folder outside of the repository
//     ninja -C build/release write_mixtures
//     build/release/tests/engine/text/write_mixtures FOLDER SEED TEXTS PARTS
//     NODE_PATH=.../node_modules node tests/engine/text/hugging_face/record.mjs FOLDER
//
// FORGE_IDS names another file to write.

import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const require = createRequire(join(process.env.NODE_PATH ?? '.', 'here.js'));
const { Tokenizer, WordPiece, bertNormalizer, bertPreTokenizer } = require('tokenizers');

const SEPARATOR = '<|endoftext|>';
const NORMALIZERS = {
  wordpiece: { lowercase: true, stripAccents: true },
  'wordpiece-accented': { lowercase: true, stripAccents: false },
  'wordpiece-cased': { lowercase: false, stripAccents: false },
};
// What random texts never have: words about the longest, and characters beyond the alphabet.
const TEXTS = [
  '', ' ', 'e'.repeat(100), 'e'.repeat(101), 'a ' + '\u00e9'.repeat(100) + ' b', 'e' + '\u0301'.repeat(200),
  '\u0301'.repeat(101), 'a\u2581b', '\u2581a', 'a \u2581', 'a\u0000b', 'e\u0130A', '\u0130', '\u03a3\u03a9\u03a3',
  '\u212b\u2126', 'a\u037eb', 'a\u1fefb', '\uf900a\uf900', 'a\u0323\u0301\u1ea1\u0301', 'a\u00adb\ufeffc', '\ue000a',
  'a\fb\u001cc\u0085d', 'a\u202fb\u2003c', '\u0378a', '[CLS]a[SEP]', '[MASK]', '##a', 'a##b', '\u1112\u1161\u11ab\uae00',
  '\u30cf\u309a\u30d1', 'ABC abc Abc', '\u{2b820}a\u{2b920}a', '\u{1d165}\u{1d16e}a', '\u{10400}\u{10428}',
];

const folder = process.argv[2];
const lines = readFileSync(join(folder, 'wordpiece.txt'), 'utf8').split('\n').slice(0, -1);
const vocabulary = Object.fromEntries(lines.map((token, id) => [token, id]));
const texts = [...readFileSync(join(folder, 'texts.txt'), 'utf8').split(SEPARATOR), ...TEXTS];

const answers = [];
for (const [name, options] of Object.entries(NORMALIZERS)) {
  const tokenizer = new Tokenizer(WordPiece.init(vocabulary, { unkToken: '[UNK]' }));
  tokenizer.setNormalizer(bertNormalizer({ cleanText: true, handleChineseChars: true, ...options }));
  tokenizer.setPreTokenizer(bertPreTokenizer());
  const ids = [];
  for (const text of texts) ids.push((await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds());
  answers.push({ name, ids });
}
const target = process.env.FORGE_IDS ?? new URL('ids.json', import.meta.url);
writeFileSync(target, JSON.stringify({ texts, answers }).replaceAll('{"name"', '\n{"name"') + '\n');
