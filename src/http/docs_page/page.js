// Shows /openapi.json with Swagger UI.

// The style sheet of Swagger UI has dark colours for this class.
const dark = matchMedia("(prefers-color-scheme: dark)");
const applyColours = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", applyColours);
applyColours();

const isDeprecated = (entry) => Number(entry.getIn(["operation", "deprecated"], false));

let page;

const prepare = (request) => {
  // Browsers refuse to send a GET with a body. GET /user needs none.
  if (request.method === "GET") delete request.body;
  // With the ids of the examples, nobody could tell the log lines of two requests apart.
  const parameters = page?.specSelectors.specJson().getIn(["components", "parameters"]);
  for (const name of ["X-Request-Id", "traceparent"]) {
    if (request.headers?.[name] === parameters?.getIn([name, "example"])) delete request.headers[name];
  }
  return request;
};

page = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  operationsSorter: (one, other) => isDeprecated(one) - isDeprecated(other),
  requestInterceptor: prepare,
  // The list of all schemas would double the length of the page, and each operation already shows its own schemas.
  defaultModelsExpandDepth: -1,
  // A reload forgets the tokens, and no other server learns the document.
  persistAuthorization: false,
  validatorUrl: null,
});
