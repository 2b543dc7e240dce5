import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface ComposeService {
  image: string;
  build?: string;
  command?: string[];
  environment?: Record<string, string>;
  healthcheck?: { test: string[] };
  ports?: string[];
  restart?: string;
}

/** What docker-compose.yml says of a service, variables as they stand there. */
export function readComposeServices(): Record<string, ComposeService> {
  return parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }).services;
}
