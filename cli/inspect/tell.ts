/** Findings as people read them: file, position, reason. */

import type { Finding, Findings } from '../../storage/inspect/findings.ts';
import { tell } from './output.ts';

export function findingText({ kind, file, position, reason }: Finding): string {
  const place = position === undefined ? file : `${file} at ${position}`;
  return `${kind}: ${place}: ${reason}`;
}

/** Beside an answer that is about something else. */
export function tellFindings(findings: Findings): void {
  for (const finding of findings.all) tell(findingText(finding));
}
