import { existsSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

const folders = (): string[] => [...(process.env['PATH'] ?? '').split(delimiter), resolve('.cache/prometheus/usr/bin')];

/** The path of a program of Prometheus; undefined if it is not there. `tools/monitoring/prometheus.sh` fetches Debian's. */
export function findPrometheus(program: 'promtool' | 'prometheus'): string | undefined {
  return folders()
    .map((folder) => join(folder, program))
    .find((path) => existsSync(path));
}

export const whereToGetIt = 'Prometheus is not at hand; tools/monitoring/prometheus.sh fetches it where apt-get works';
