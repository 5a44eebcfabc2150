import { type KafkaConnectionSettings, readTlsFiles, type SaslMechanism, SettingsError } from '@leakage/runtime';
import type { TokenRequest } from './oauth-token.ts';

export interface KafkaTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly passphrase?: string;
  readonly servername?: string;
}

export type KafkaLogin =
  | { readonly mechanism: Exclude<SaslMechanism, 'oauthbearer'>; readonly username: string; readonly password: string }
  | {
      readonly mechanism: 'oauthbearer';
      readonly token: TokenRequest;
      readonly extensions: Readonly<Record<string, string>>;
    };

/** Where a cluster is, how it is known and how we log in. */
export interface KafkaAccess {
  readonly brokers: readonly string[];
  readonly tls?: KafkaTls;
  readonly login?: KafkaLogin;
}

type Settings = KafkaConnectionSettings;
type Name = Exclude<keyof Settings, 'kafkaBrokers' | 'kafkaTls' | 'kafkaSaslMechanism'>;

const tlsNames: Partial<Record<Name, string>> = {
  kafkaTlsCaFile: 'KAFKA_TLS_CA_FILE',
  kafkaTlsCertFile: 'KAFKA_TLS_CERT_FILE',
  kafkaTlsKeyFile: 'KAFKA_TLS_KEY_FILE',
  kafkaTlsKeyPassword: 'KAFKA_TLS_KEY_PASSWORD',
  kafkaTlsServerName: 'KAFKA_TLS_SERVER_NAME',
};
const passwordNames: Partial<Record<Name, string>> = {
  kafkaUsername: 'KAFKA_USERNAME',
  kafkaPassword: 'KAFKA_PASSWORD',
};
const tokenNames: Partial<Record<Name, string>> = {
  kafkaOauthTokenUrl: 'KAFKA_OAUTH_TOKEN_URL',
  kafkaOauthClientId: 'KAFKA_OAUTH_CLIENT_ID',
  kafkaOauthClientSecret: 'KAFKA_OAUTH_CLIENT_SECRET',
};
const tokenExtraNames: Partial<Record<Name, string>> = {
  kafkaOauthScope: 'KAFKA_OAUTH_SCOPE',
  kafkaOauthExtensions: 'KAFKA_OAUTH_EXTENSIONS',
};

/**
 * The one way from settings to a client: `createKafkaClient({ ...kafkaClientOptions(settings), clientId, log })`. Throws a
 * SettingsError that lists everything that does not fit together; reads the files that the settings name.
 */
export function kafkaClientOptions(settings: Settings): KafkaAccess {
  const problems = kafkaProblems(settings);
  if (problems.length > 0) throw new SettingsError(problems);
  const login = loginOf(settings);
  return {
    brokers: settings.kafkaBrokers,
    ...(settings.kafkaTls ? { tls: tlsOf(settings) } : {}),
    ...(login === null ? {} : { login }),
  };
}

/** What of the settings contradicts the rest: a password that would not be used is a mistake that somebody has to hear of. */
export function kafkaProblems(settings: Settings): string[] {
  const set = (names: Partial<Record<Name, string>>): string[] =>
    Object.entries(names).flatMap(([key, name]) => (settings[key as Name] === undefined ? [] : [name]));
  const missing = (names: Partial<Record<Name, string>>): string[] =>
    Object.values(names).filter((name) => !set(names).includes(name));
  const { kafkaTls, kafkaSaslMechanism: mechanism } = settings;
  const problems: string[] = [];
  const useless = (names: readonly string[], why: string): void => {
    if (names.length > 0) problems.push(`${listed(names)} ${names.length === 1 ? 'is' : 'are'} set, but ${why}`);
  };
  const needed = (names: readonly string[]): void => {
    if (names.length > 0) problems.push(`KAFKA_SASL_MECHANISM is ${mechanism} and needs ${listed(names)}`);
  };
  if (!kafkaTls) useless(set(tlsNames), 'KAFKA_TLS is not: set it to true');
  else if ((settings.kafkaTlsCertFile === undefined) !== (settings.kafkaTlsKeyFile === undefined)) {
    problems.push('KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE belong together: set both, or neither');
  } else if (settings.kafkaTlsKeyPassword !== undefined && settings.kafkaTlsKeyFile === undefined) {
    useless(['KAFKA_TLS_KEY_PASSWORD'], 'KAFKA_TLS_KEY_FILE is not');
  }
  switch (mechanism) {
    case undefined:
      useless(
        set({ ...passwordNames, ...tokenNames, ...tokenExtraNames }),
        'KAFKA_SASL_MECHANISM is not: set it to how the cluster wants you to log in',
      );
      break;
    case 'oauthbearer':
      needed(missing(tokenNames));
      useless(set(passwordNames), 'KAFKA_SASL_MECHANISM is oauthbearer, which logs in with a token');
      break;
    case 'plain':
    case 'scram-sha-256':
    case 'scram-sha-512':
      needed(missing(passwordNames));
      useless(
        set({ ...tokenNames, ...tokenExtraNames }),
        `KAFKA_SASL_MECHANISM is ${mechanism}, which logs in with a password`,
      );
  }
  return problems;
}

function tlsOf(s: Settings): KafkaTls {
  const { ca, cert, key, passphrase } = readTlsFiles({
    ca: named('KAFKA_TLS_CA_FILE', s.kafkaTlsCaFile),
    cert: named('KAFKA_TLS_CERT_FILE', s.kafkaTlsCertFile),
    key: named('KAFKA_TLS_KEY_FILE', s.kafkaTlsKeyFile),
    ...(s.kafkaTlsKeyPassword === undefined
      ? {}
      : { keyPassword: { setting: 'KAFKA_TLS_KEY_PASSWORD', text: s.kafkaTlsKeyPassword } }),
  });
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(s.kafkaTlsServerName === undefined ? {} : { servername: s.kafkaTlsServerName }),
  };
}

function loginOf(s: Settings): KafkaLogin | null {
  const { kafkaSaslMechanism: mechanism, kafkaOauthScope: scope } = s;
  if (mechanism === undefined) return null;
  if (mechanism !== 'oauthbearer') {
    return { mechanism, username: s.kafkaUsername ?? '', password: s.kafkaPassword ?? '' };
  }
  return {
    mechanism,
    token: {
      url: s.kafkaOauthTokenUrl ?? '',
      clientId: s.kafkaOauthClientId ?? '',
      clientSecret: s.kafkaOauthClientSecret ?? '',
      ...(scope === undefined ? {} : { scope }),
    },
    extensions: Object.fromEntries((s.kafkaOauthExtensions ?? []).map((pair) => splitAt(pair, pair.indexOf('=')))),
  };
}

const named = (setting: string, path: string | undefined) => (path === undefined ? undefined : { setting, path });
const splitAt = (text: string, at: number): [string, string] => [text.slice(0, at), text.slice(at + 1)];
const listed = (names: readonly string[]): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
