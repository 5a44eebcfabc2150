import { expect, test } from 'vitest';
import { allTopics, sourceOfTopic, topicName, topicTable } from './topics.ts';

test('three topics of twelve partitions; profiles are kept for ever', () => {
  expect(topicTable('leakage').map((topic) => [topic.name, topic.partitions, topic.config['retention.ms']])).toEqual([
    ['leakage.journeys', 12, undefined],
    ['leakage.calls', 12, undefined],
    ['leakage.members', 12, '-1'],
  ]);
  for (const topic of topicTable('x')) {
    expect(topic.config).toMatchObject({ 'cleanup.policy': 'delete', 'message.timestamp.type': 'LogAppendTime' });
  }
});

test('a topic is recognised by its whole name', () => {
  expect(sourceOfTopic('leakage', topicName('leakage', 'calls'))).toBe('calls');
  expect(sourceOfTopic('leakage', 'other.calls')).toBeNull();
  expect(sourceOfTopic('leakage', topicName('leakage', 'changes'))).toBeNull();
});

test('the topic for outsiders is there where they are told, and nothing of ours reads it', () => {
  const names = (relayed: boolean) => allTopics('x', { relayed }).map(({ name }) => name);
  expect(names(true)).toEqual([...names(false), 'x.changes']);
  expect(names(false)).toEqual(topicTable('x').map(({ name }) => name));
  expect(allTopics('x', { relayed: true }).every(({ partitions }) => partitions === 12)).toBe(true);
});
