"""The rows of the result: what, ours, the peer's, how many times better, the budget and whether it is met."""


def number(value, unit):
    if value is None:
        return '-'
    if unit == '/s':
        return f'{value:,.0f}/s'
    if unit == 'ms' and value >= 1000:
        return f'{value / 1000:.2f} s'
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f'{value:,.{digits}f} {unit}'


class Table:
    def __init__(self, settings):
        self.settings = settings
        self.rows = []

    def add(self, what, unit, ours=None, peer=None, *, factor=None, below=None, rounds=None, ratio=None, note='', judged=True):
        """`factor`: the least ratio; `below`: the most of ours. A ratio above 1 is in our favour, whatever the unit."""
        if ratio is None and ours and peer:
            ratio = ours / peer if unit == '/s' else peer / ours
        budget, met = '', None
        if factor is not None:
            budget, met = f'at least {factor}x', None if ratio is None else ratio >= factor
        if below is not None:
            budget, met = f'under {number(below, unit)}', None if ours is None else ours < below
        if not judged:
            met = None
        self.rows.append({'what': what, 'unit': unit, 'ours': ours, 'peer': peer, 'ratio': ratio, 'budget': budget,
                          'met': met, 'note': note, 'rounds': rounds})
        row = self.rows[-1]
        print('  ' + '  '.join(part for part in self.cells(row) if part), flush=True)

    def skip(self, what, reason):
        self.rows.append({'what': what, 'skipped': reason})
        print(f'  {what}: SKIPPED: {reason}', flush=True)

    @staticmethod
    def cells(row):
        if 'skipped' in row:
            return [row['what'], 'SKIPPED', '', '', '', '', row['skipped']]
        met = {True: 'yes', False: 'NO', None: ''}[row['met']]
        ratio = '' if row['ratio'] is None else f'{row["ratio"]:.1f}x'
        return [row['what'], number(row['ours'], row['unit']), number(row['peer'], row['unit']), ratio, row['budget'], met, row['note']]

    def text(self):
        heads = ['what', 'ours', 'peer', 'better by', 'budget', 'met', '']
        lines = [heads] + [self.cells(row) for row in self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(heads) - 1)]
        return '\n'.join('  '.join(cell.ljust(width) for cell, width in zip(line, widths + [0])).rstrip() for line in lines)
