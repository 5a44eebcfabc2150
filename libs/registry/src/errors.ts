/** Nobody answers, or not as a registry does: asking again may help, and says nothing about what was asked for. */
export class RegistrySilentError extends Error {
  constructor(registry: string, reason: string, options?: ErrorOptions) {
    super(`the schema registry at ${registry} does not answer (${reason})`, options);
    this.name = 'RegistrySilentError';
  }
}
