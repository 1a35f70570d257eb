import type { Flag } from './schema.ts'

export interface Pipelines {
  id: string
  /** Unique on this host. */
  name: string
  owner_type: 'user' | 'team'
  owner_id: string
  created_at: number
  updated_at: number
}

export type Stage = 'test' | 'review' | 'development' | 'staging' | 'production'

/** An app is in one pipeline at most. */
export interface PipelineCouplings {
  id: string
  app_id: string
  pipeline_id: string
  stage: Stage
  created_at: number
  updated_at: number
}

export interface PipelineConfigVars {
  pipeline_id: string
  stage: Stage
  /** Sealed JSON object. */
  config: string
}

export interface PipelinePromotions {
  id: string
  pipeline_id: string
  source_app_id: string
  source_release_id: string
  account_id: string
  created_at: number
}

/** The state machine is drawn in pipeline/promotion.ts. Apps and releases that are gone are still named. */
export interface PipelinePromotionTargets {
  id: string
  promotion_id: string
  app_id: string
  release_id: string | null
  status: 'pending' | 'succeeded' | 'failed'
  error_message: string | null
  updated_at: number
}

export type SetupState = 'source' | 'build' | 'postdeploy' | 'succeeded' | 'failed'

export interface AppSetups {
  id: string
  app_id: string
  account_id: string
  /** The state machine is drawn in pipeline/setup.ts. */
  state: SetupState
  /** What was asked for, sealed JSON: the source and what overrides its app.json. */
  order: string
  failure_message: string | null
  /** JSON list of sentences. */
  manifest_errors: string
  postdeploy_output: string | null
  postdeploy_exit_code: number | null
  success_url: string | null
  created_at: number
  updated_at: number
}

export interface ReviewApps {
  id: string
  pipeline_id: string
  app_id: string
  setup_id: string
  account_id: string
  branch: string
  pr_number: number | null
  created_at: number
}

export interface ReviewAppConfigs {
  pipeline_id: string
  /** Review apps that got no new code for so many days... */
  stale_days: number
  /** ...are destroyed. */
  destroy_stale: Flag
  base_name: string | null
  created_at: number
  updated_at: number
}
