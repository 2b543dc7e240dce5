import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  drawPictures,
  type PictureName,
  type Pictures,
  pictureNames,
  processPictureName,
} from '../../explain/pictures.js';
import type { ScoredResult } from '../../shared/contracts.js';
import { codeOf, PatchlineError } from '../../shared/errors.js';
import { type ArtefactName, artefactNames } from '../../shared/http-api.js';
import { recogniseFormat } from '../../shared/image-format.js';
import { inspectionFolder } from '../../shared/keys.js';
import { readerOf, readImage } from '../../shared/read-image.js';
import { readResult } from '../../shared/results.js';
import type { ObjectStore } from '../../shared/store/object-store.js';
import type { HttpContext } from './context.js';
import { assertInspectionId, idParameter, inspectionNotFound } from './inspections.js';
import { problems } from './problems.js';
import { sendBytes } from './send-bytes.js';

const contentTypes: Record<string, string> = {
  png: 'image/png',
  svg: 'image/svg+xml',
  npy: 'application/octet-stream',
};
const content = (...types: string[]) => ({
  description: 'The bytes, with a strong ETag',
  content: Object.fromEntries(types.map((type) => [type, { schema: z.file() }])),
});
const responses = (...types: string[]) => ({
  200: content(...types),
  206: { ...content(...types), description: 'The range of bytes that was asked for' },
  304: z.null().describe('The client has these bytes already (If-None-Match)'),
  ...problems(404, 416),
});

export const artefactRoutes: FastifyPluginAsyncZod<HttpContext> = async (app, { producer: { store } }) => {
  const draw = rememberLast((result: ScoredResult) => drawPictures(result, readerOf(store, result)));
  const artefactSchema = {
    operationId: 'getArtefact',
    summary: 'A map or a picture of an inspection',
    description: `One of ${artefactNames.join(', ')}. Pictures that are not stored are drawn.`,
    params: idParameter.extend({ name: z.string() }),
    response: responses('image/png', 'image/svg+xml', 'application/octet-stream'),
  };
  app.get('/v1/inspections/:id/artefacts/:name', { schema: artefactSchema }, async (request, reply) => {
    const { id, name } = request.params;
    assertInspectionId(id);
    const bytes = isArtefact(name) ? await findArtefact({ store, draw }, id, name) : undefined;
    if (!bytes) throw new PatchlineError('OBJECT_NOT_FOUND', `Expected an artefact of ${id} but received ${name}`);
    return sendBytes(request, reply, bytes, contentTypes[name.split('.').at(-1)!]!);
  });

  const imageSchema = {
    operationId: 'getImage',
    summary: 'The original image of an inspection',
    params: idParameter,
    response: responses('image/*', 'application/octet-stream'),
  };
  app.get('/v1/inspections/:id/image', { schema: imageSchema }, async (request, reply) => {
    const { id } = request.params;
    assertInspectionId(id);
    const result = await readResult(store, id);
    if (!result) throw inspectionNotFound(id, 'a result');
    const bytes = await readImage(store, result.imageKey);
    const { readable: format } = recogniseFormat(bytes);
    return sendBytes(request, reply, bytes, format ? `image/${format}` : 'application/octet-stream');
  });
};

const isArtefact = (name: string): name is ArtefactName => artefactNames.some((each) => each === name);
const isPicture = (name: ArtefactName): name is PictureName =>
  [...pictureNames, processPictureName].some((each) => each === name);

type Draw = (result: ScoredResult) => Promise<Pictures>;

/** Inspections whose drawn pictures are kept: all are drawn at once, and who looks at one soon asks for the others. */
const kept = 8;

function rememberLast(draw: Draw): Draw {
  const drawn = new Map<string, Promise<Pictures>>();
  return (result) => {
    const key = `${result.inspectionId} ${result.finishedAt}`;
    const known = drawn.get(key);
    if (known) return known;
    const pictures = draw(result);
    drawn.set(key, pictures);
    pictures.catch(() => drawn.delete(key));
    if (drawn.size > kept) drawn.delete(drawn.keys().next().value!);
    return pictures;
  };
}

/** What is stored, else drawn; undefined where the inspection has no such thing. */
async function findArtefact(
  { store, draw }: { store: ObjectStore; draw: Draw },
  id: string,
  name: ArtefactName,
): Promise<Uint8Array | undefined> {
  try {
    return await store.get(`${inspectionFolder(id)}/${name}`);
  } catch (error) {
    if (codeOf(error) !== 'OBJECT_NOT_FOUND') throw error;
  }
  const result = await readResult(store, id);
  if (!result) throw inspectionNotFound(id, 'a result');
  if (result.status === 'failed' || !isPicture(name)) return undefined;
  return (await draw(result))[name];
}
