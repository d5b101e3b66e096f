// @aws-sdk/client-s3 and lib-storage behind the drivers' protocol; see lines.py.
"use strict";
const fs = require("node:fs");
const readline = require("node:readline");
const { pipeline } = require("node:stream/promises");
const {
  S3Client, CreateBucketCommand, DeleteBucketCommand, GetObjectCommand, CopyObjectCommand,
  DeleteObjectCommand, paginateListObjectsV2,
} = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");

const s3 = new S3Client({
  endpoint: process.env.ENDPOINT,
  region: process.env.AWS_REGION,
  forcePathStyle: true,
  maxAttempts: 1,
});
const source = (bucket, key) => `${bucket}/${key.split("/").map(encodeURIComponent).join("/")}`;

const verbs = {
  make: ({ bucket }) => s3.send(new CreateBucketCommand({ Bucket: bucket })),
  drop: ({ bucket }) => s3.send(new DeleteBucketCommand({ Bucket: bucket })),
  upload: ({ path, bucket, key }) => new Upload({
    client: s3,
    partSize: 5 * 2 ** 20,
    params: { Bucket: bucket, Key: key, Body: fs.createReadStream(path) },
  }).done(),
  download: async ({ path, bucket, key }) => {
    const got = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    await pipeline(got.Body, fs.createWriteStream(path));
  },
  copy: ({ bucket, key, target }) => s3.send(new CopyObjectCommand({
    Bucket: bucket, Key: target, CopySource: source(bucket, key),
  })),
  delete: ({ bucket, key }) => s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key })),
  list: async ({ bucket }) => {
    const found = {};
    for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket: bucket })) {
      for (const row of page.Contents ?? []) found[row.Key] = row.Size;
    }
    return found;
  },
};

async function serve() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const words = JSON.parse(line);
    let answer;
    try {
      const result = await verbs[words.verb](words);
      answer = { result: words.verb === "list" ? result : null };
    } catch (error) {
      answer = { error: `${error.name}: ${error.message}` };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
}
serve();
