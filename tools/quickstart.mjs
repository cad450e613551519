// Lays out quickstart/ with a few small files when there is none. Plain JavaScript: it also runs on a Node that Varve itself refuses.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'

const folder = new URL('../quickstart/', import.meta.url)
const files = {
  'README.txt': 'Varve watches this folder. Change, add or remove a file here: each change becomes a version of demo/files.\n',
  'labels.csv': 'image,label\ncat-01.txt,cat\ndog-01.txt,dog\n',
  'images/cat-01.txt': '/\\_/\\\n( o.o )\n',
  'images/dog-01.txt': '/^ ^\\\n( o o )\n',
}

if (!existsSync(folder)) {
  for (const [path, text] of Object.entries(files)) {
    const file = new URL(path, folder)
    mkdirSync(new URL('.', file), { recursive: true })
    writeFileSync(file, text)
  }
}
