import Table from 'cli-table3'

const BARE = {
  top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '',
  left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ',
}

/** Lines of aligned columns without borders, the head first; `right` names the columns that hold numbers. Cells are fit for a terminal. */
export function tableLines(head: readonly string[], rows: readonly (readonly string[])[], right: readonly string[] = []): string[] {
  const table = new Table({
    chars: BARE,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
    colAligns: head.map((name) => (right.includes(name) ? 'right' : 'left')),
  })
  table.push([...head], ...rows.map((row) => [...row]))
  return table.toString().split('\n').map((line) => line.trimEnd())
}
