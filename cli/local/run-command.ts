import { spawn } from 'node:child_process';

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  readonly timeoutMs: number;
  readonly account?: { readonly uid: number; readonly gid: number };
}

const keepBytes = 64_000;

/** Runs a program without a shell; what it printed, or an error whose message ends with what it printed. */
export function run(command: string, args: readonly string[], o: RunOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: o.cwd,
      env: o.env ?? process.env,
      ...(o.account ? { uid: o.account.uid, gid: o.account.gid } : {}),
    });
    // Not spawn's own timeout: that one stays behind when the program could not be started at all.
    const late = setTimeout(() => child.kill('SIGKILL'), o.timeoutMs);
    let output = '';
    const collect = (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-keepBytes);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.stdin.on('error', () => undefined); // it ended before it read all: its exit code says why
    child.once('error', (error) => {
      clearTimeout(late);
      reject(error);
    });
    child.once('close', (code, signal) => {
      clearTimeout(late);
      if (code === 0) resolve(output);
      else reject(new Error(`${command} ${signal ? `was ended by ${signal}` : `ended with code ${code}`}\n${output}`));
    });
    child.stdin.end(o.input ?? '');
  });
}
