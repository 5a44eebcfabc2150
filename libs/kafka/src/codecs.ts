import { promisify } from 'node:util';
import { gunzip, gzip, zstdCompress, zstdDecompress } from 'node:zlib';
import kafkajs from 'kafkajs';
import { compressFrame, decompressFrame } from 'lz4-napi';
import { compress as snappyCompress, uncompress as snappyUncompress } from 'snappy';

/** What one compressed record batch may unfold to; a larger one is refused, which stops the consumer loudly. */
const unfoldedBytesMax = 256 * 1024 * 1024;

interface Codec {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>;
  decompress(data: Buffer): Promise<Buffer>;
}

const gzipAsync = promisify(gzip);
const gunzipAsync = promisify(gunzip);
const zstdCompressAsync = promisify(zstdCompress);
const zstdDecompressAsync = promisify(zstdDecompress);

const gzipCodec: Codec = {
  compress: (encoder) => gzipAsync(encoder.buffer),
  decompress: (data) => gunzipAsync(data, { maxOutputLength: unfoldedBytesMax }),
};

const zstdCodec: Codec = {
  compress: (encoder) => zstdCompressAsync(encoder.buffer),
  decompress: (data) => zstdDecompressAsync(data, { maxOutputLength: unfoldedBytesMax }),
};

// Record batches of magic 2 hold standard LZ4 frames. LZ4 unfolds at most 255 times, so a fetch bounds it.
const lz4Codec: Codec = {
  compress: (encoder) => compressFrame(encoder.buffer),
  decompress: (data) => decompressFrame(data),
};

const snappyCodec: Codec = {
  compress: (encoder) => compressXerial(encoder.buffer),
  decompress: (data) => (isXerial(data) ? uncompressXerial(data) : uncompressBlock(data)),
};

/** kafkajs has gzip only, and a record batch of any other codec would end the consumer: foreign producers choose freely. */
export function registerCodecs(): void {
  const { CompressionCodecs, CompressionTypes } = kafkajs;
  CompressionCodecs[CompressionTypes.GZIP] = () => gzipCodec;
  CompressionCodecs[CompressionTypes.Snappy] = () => snappyCodec;
  CompressionCodecs[CompressionTypes.LZ4] = () => lz4Codec;
  CompressionCodecs[CompressionTypes.ZSTD] = () => zstdCodec;
}

// Java's clients wrap snappy in the xerial stream format: this header, then blocks of { int32 length, snappy data }.
const xerialHeader = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00, 0, 0, 0, 1, 0, 0, 0, 1]);
const xerialMagicBytes = 8;
const xerialBlockBytes = 32 * 1024;

function isXerial(data: Buffer): boolean {
  return (
    data.length >= xerialHeader.length && data.compare(xerialHeader, 0, xerialMagicBytes, 0, xerialMagicBytes) === 0
  );
}

export async function compressXerial(data: Buffer): Promise<Buffer> {
  const parts: Buffer[] = [xerialHeader];
  for (let at = 0; at < data.length; at += xerialBlockBytes) {
    const block = await snappyCompress(data.subarray(at, at + xerialBlockBytes));
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}

export async function uncompressXerial(data: Buffer): Promise<Buffer> {
  const parts: Buffer[] = [];
  let unfolded = 0;
  let at = xerialHeader.length;
  while (at < data.length) {
    const length = data.readUInt32BE(at);
    at += 4;
    if (at + length > data.length) throw new Error('a snappy block ends after its record batch');
    const block = await uncompressBlock(data.subarray(at, at + length));
    at += length;
    unfolded += block.length;
    if (unfolded > unfoldedBytesMax)
      throw new Error(`a snappy record batch unfolds to more than ${unfoldedBytesMax} bytes`);
    parts.push(block);
  }
  return Buffer.concat(parts);
}

async function uncompressBlock(data: Buffer): Promise<Buffer> {
  // The block says its length in front, and that much memory would be taken before a byte is read.
  if (declaredLength(data) > unfoldedBytesMax)
    throw new Error(`a snappy block unfolds to more than ${unfoldedBytesMax} bytes`);
  const block = await snappyUncompress(data, { asBuffer: true });
  return typeof block === 'string' ? Buffer.from(block) : block;
}

/** A snappy block begins with the length of its content as a varint of up to five bytes. */
function declaredLength(block: Buffer): number {
  let length = 0;
  for (let at = 0; at < Math.min(5, block.length); at += 1) {
    const byte = block[at] ?? 0;
    length += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) break;
  }
  return length;
}
