"""The codecs alone: bench_codecs, which Google Benchmark runs."""
import json
import subprocess


def measure(settings, table):
    program = settings.tools / 'bench_codecs'
    if not program.exists():
        table.skip('codecs', 'bench_codecs was not built (libbenchmark-dev)')
        return
    out = subprocess.run([program, '--benchmark_format=json', f'--benchmark_min_time={0.1 if settings.quick else 0.5}'],
                         capture_output=True, text=True, check=True)
    for row in json.loads(out.stdout)['benchmarks']:
        what = row['name'].replace('_', ' ').replace('json', 'JSON')
        table.add(f'{what}, {row["bytes"]:.0f} bytes', 'us', row['cpu_time'] / 1000, note='CPU')
