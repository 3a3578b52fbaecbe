/**
 * How the command line ends when it cannot do what was asked for: 1 failed, or found damage; 2 asked
 * for in a way that cannot be; 3 not there; 4 not to be had at this time. Errors of this kind are
 * told without a stack.
 */

export const ExitCode = { failed: 1, usage: 2, notFound: 3, unavailable: 4 } as const;

export class CliError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = ExitCode.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** What was asked for cannot be. */
export class UsageError extends CliError {
  constructor(message: string) {
    super(message, ExitCode.usage);
  }
}

/** There is no such folder, topic, partition or segment. */
export class NotFound extends CliError {
  constructor(message: string) {
    super(message, ExitCode.notFound);
  }
}
