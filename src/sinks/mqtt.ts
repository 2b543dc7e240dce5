import { randomBytes } from 'node:crypto';
import mqtt, { ErrorWithReasonCode, type MqttClient } from 'mqtt';
import { messageOf as reasonOf } from '../shared/errors.js';
import type { MqttSettings } from '../shared/sink-settings.js';
import { inTime } from './in-time.js';
import { bodyOf, outcomeOf, type SinkMessage } from './message.js';
import { refused, type Sink, type SinkEnvironment, secretOf, unreachable } from './sink.js';

/** Reasons of a PUBACK that speak of the event: not authorized, topic name invalid, payload format invalid. */
const refusals = [0x87, 0x90, 0x99];

/** Publishes over MQTT 5, or 3.1.1 where the broker speaks no other; an event is delivered when the broker has acknowledged it. */
export function openMqtt(settings: MqttSettings, { logger }: SinkEnvironment): Sink {
  const { name, url, qos, retain, expirySeconds } = settings;
  const client = connect(settings);
  let trouble = `no connection to ${new URL(url).host} yet`;
  client.on('error', (error) => {
    trouble = reasonOf(error) || String(error);
    // 1 is how a broker of 3.1.1 says it, 132 one of 5
    if (error instanceof ErrorWithReasonCode && [1, 132].includes(error.code) && client.options.protocolVersion === 5) {
      logger.warn({ sink: name }, 'the broker does not speak MQTT 5; going on with 3.1.1, without properties');
      client.options.protocolVersion = 4;
      client.options.protocolId = 'MQTT';
    }
  });
  client.on('connect', () => {
    if (settings.statusTopic !== undefined) client.publish(settings.statusTopic, 'online', { retain: true });
  });
  client.on('close', () => {
    // What the broker has not acknowledged is told again from the stream, not by the library as well.
    for (const id of Object.keys(client.outgoing)) client.removeOutgoingMessage(Number(id));
  });

  return {
    get atOnce() {
      return Math.min(16, client.serverProperties?.receiveMaximum ?? 16);
    },
    async deliver(message) {
      if (!client.connected) throw unreachable(`Expected a connection to the broker but: ${trouble}`);
      const topic = topicOf(settings.topic, message);
      try {
        const properties = propertiesOf(message, expirySeconds);
        await inTime(client.publishAsync(topic, bodyOf(message), { qos, retain, properties }), () =>
          client.stream.destroy(),
        );
      } catch (error) {
        if (error instanceof ErrorWithReasonCode && refusals.includes(error.code)) {
          throw refused(`Expected the broker to take ${topic} but: ${error.message}`);
        }
        throw unreachable(`Expected the broker to acknowledge ${topic} but: ${reasonOf(error)}`);
      }
    },
    close: () => end(client, settings.statusTopic),
  };
}

function connect({ name, url, username, passwordEnv, statusTopic }: MqttSettings): MqttClient {
  return mqtt.connect(url, {
    protocolVersion: 5,
    clientId: `patchline-${name}-${randomBytes(4).toString('hex')}`, // several processes may run one sink
    clean: true,
    reconnectPeriod: 1_000,
    reconnectOnConnackError: true,
    connectTimeout: 10_000,
    keepalive: 30,
    username,
    password: secretOf(name, passwordEnv),
    ...(statusTopic && { will: { topic: statusTopic, payload: Buffer.from('offline'), qos: 1, retain: true } }),
  });
}

const propertiesOf = ({ delivery, kind, event }: SinkMessage, expirySeconds: number | undefined) => ({
  payloadFormatIndicator: true,
  contentType: 'application/json',
  ...(expirySeconds && { messageExpiryInterval: expirySeconds }),
  userProperties: { delivery, kind, inspectionId: event.inspectionId },
});

/** Names of products and cameras hold nothing that means something in a topic. */
const topicOf = (template: string, { kind, event }: SinkMessage): string =>
  template
    .replaceAll('{product}', event.product)
    .replaceAll('{camera}', event.camera ?? 'none')
    .replaceAll('{kind}', kind)
    .replaceAll('{outcome}', outcomeOf(event));

/** A broker publishes the will only of a client that was cut off. */
async function end(client: MqttClient, statusTopic: string | undefined): Promise<void> {
  if (client.connected && statusTopic !== undefined) {
    await client.publishAsync(statusTopic, 'offline', { retain: true });
  }
  const cut = () => client.stream.destroy(); // where the other side does not answer any more
  await inTime(client.endAsync(!client.connected), cut).catch(() => undefined);
}
